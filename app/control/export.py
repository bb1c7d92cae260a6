"""Exporting from the window: the dialog, its preview, the queue, and what is said at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from vbp.app.control.desktop import open_outside
from vbp.app.control.export_line import ExportLine, span
from vbp.app.control.presenter import Presenter
from vbp.app.dialogs.export import ExportDialog
from vbp.app.dialogs.export_form import Choice, Subject
from vbp.app.jobs.export_preview import Preview, PreviewRequest, draw_preview
from vbp.app.jobs.export_queue import DONE, FAILED, Export, ExportQueue
from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Frame
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings as WindowSettings
from vbp.app.widgets.notice import Notice
from vbp.drives.holes import played_ns
from vbp.edits.edit import Edits
from vbp.export.job import Job, Part, Settings
from vbp.export.part_file import keeps_part, part_name
from vbp.results import VBP


class ExportControl(QObject):
    def __init__(
        self,
        window: QWidget,
        player: Player,
        marks: Marks,
        presenter: Presenter,
        settings: WindowSettings,
        notice: Notice,
        edits: Callable[[], Edits],
    ) -> None:
        super().__init__(window)
        self._edits = edits
        self._window, self._player, self._marks = window, player, marks
        self._presenter, self._kept, self._notice = presenter, settings, notice
        self.queue = ExportQueue(self)
        self.line = ExportLine(self.queue)
        presenter.panels.status.addPermanentWidget(self.line)
        self.dialog: ExportDialog | None = None
        failure = "The preview could not be drawn"
        self.worker: Worker[PreviewRequest] = Worker("export-preview", draw_preview, failure, self)
        self.worker.told.connect(self._on_drawn)
        self.worker.finished.connect(self._on_finished)
        self.queue.ended.connect(self._on_ended)

    # The dialog.

    def ask(self) -> None:
        """Show the dialog for the open drive."""
        if self._player.drive is None:
            return
        if self.dialog is None:
            self.dialog = ExportDialog(self._window)
            self.dialog.chosen.connect(self._on_chosen)
            self.dialog.changed.connect(self._draw)
            self.dialog.finished.connect(lambda _: self.worker.cancel())
            self._player.shown.connect(self._on_shown)
            self._player.network_ready.connect(self._on_network)
            self._player.opening.connect(lambda _: self.dialog and self.dialog.close())
        self.dialog.ask(self._subject(), self._settings())

    def folder(self) -> Path:
        """Where the last one was written."""
        kept = Path(self._kept.text("export/folder", ""))
        return kept if str(kept) != "." and kept.is_dir() else Path.home()

    def _subject(self) -> Subject:
        player = self._player
        drive, path = player.drive, player.path
        assert drive is not None and path is not None
        times = played_ns(drive.timestamps_ns) / 1e9
        return Subject(
            name=path.name,
            folder=self.folder(),
            frames=len(drive),
            times_s=times.tolist(),
            marks=(self._marks.a, self._marks.b),
            frame=player.target,
            size=(drive.info.width, drive.info.height),
            methods=self._titles(),
            on_screen=self._methods_on_screen(),
        )

    def _titles(self) -> dict[str, str]:
        if self._player.ready is None:  # the methods bring torch, which takes seconds
            return {VBP: "VisualBackProp"}
        from vbp.explain import METHODS

        return {name: method.title for name, method in METHODS.items()}

    def _methods_on_screen(self) -> tuple[str, ...]:
        presenter = self._presenter
        panels = presenter.methods.wanted(presenter.seen).values()
        first = (VBP,) if VBP in presenter.seen else ()
        return tuple(dict.fromkeys((*first, *(request.method for request in panels))))

    def _settings(self) -> Settings:
        """The overlay, the target and the methods' numbers as the window has them; of two panels, the first's."""
        presenter = self._presenter
        numbers: dict[str, dict[str, float]] = {}
        for request in presenter.methods.wanted(presenter.seen).values():
            numbers.setdefault(request.method, dict(request.parameters))
        return Settings(
            overlay=presenter.overlay,
            usual=presenter.predictions.usual,
            target=presenter.methods.target,
            parameters=numbers,
        )

    def _on_network(self) -> None:
        if self.dialog is not None and self.dialog.isVisible() and self._player.drive is not None:
            self.dialog.set_subject(self._subject(), self._settings())

    def _on_shown(self, frame: Frame) -> None:
        dialog = self.dialog
        if dialog is not None and dialog.isVisible() and not self._player.playing:
            dialog.set_frame(frame.index)
            dialog.changed.emit()  # the same frame, with its mask

    def _draw(self) -> None:
        dialog, player, drive = self.dialog, self._player, self._player.drive
        if dialog is None or drive is None or not dialog.isVisible():
            return
        kind, settings = dialog.kind.currentData(), dialog.settings()
        frame, ready, engine = player.shown_frame, player.ready, player.engine
        if not kind.drawn:
            dialog.set_picture(None, "No picture: it is numbers that are written")
        elif frame is None or frame.image is None or frame.result is None or ready is None or engine is None:
            dialog.set_picture(None, "The preview comes with a frame that the network has seen")
        elif settings.panels:
            first, last = dialog.range()
            if not first <= frame.index <= last or first == last:
                from vbp.export.picture import frames_around  # torch is loaded by now

                around = frames_around(drive, frame.index)
                first, last = int(around[0]), int(around[-1])
            indices = np.arange(first, last + 1)
            table = self._presenter.predictions.table
            assert table is not None
            predicted = table.predicted[first : last + 1].copy()
            whole = kind.suffix == ".png"
            self.worker.ask(PreviewRequest(settings, frame, drive, engine, indices, predicted, whole))

    def _on_drawn(self, preview: Preview) -> None:
        if self.dialog is not None:
            self.dialog.set_picture(preview.picture, preview.text)

    def _on_finished(self, text: str) -> None:
        if self.dialog is not None and text:
            self.dialog.set_picture(None, text)

    # Exports.

    def _on_chosen(self, choice: Choice) -> None:
        self._add(choice.output, choice.first, choice.last, (), choice.settings, choice.force)

    def add_parts(
        self, output: Path, parts: Sequence[Part], format: str = "", remarks: Sequence[str] = ()
    ) -> None:
        """One clip of parts of the open drive, or a page of them, as the window shows masks."""
        first, last = min(p.first for p in parts), max(p.last for p in parts)
        settings = replace(self._settings(), format=format)
        self._add(output, first, last, tuple(parts), settings, remarks=tuple(remarks))

    def _add(
        self,
        output: Path,
        first: int,
        last: int,
        parts: tuple[Part, ...],
        settings: Settings,
        force: bool = False,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self._kept.set("export/folder", str(output.parent))
        player, drive = self._player, self._player.drive
        if drive is None or player.path is None:
            self._notice.show_message("The recording was closed before it could be exported", "error")
            return
        info, crop = drive.info, player.crop
        job = Job(
            drive_path=player.path,
            options=player.options,
            model=player.network_name,
            device=player.ready.device if player.ready is not None else "auto",
            output=output,
            first=first,
            last=last,
            force=force,
            settings=settings,
            crop=crop.at(info.height, info.width) if crop is not None else None,
            edits=edits.to_text() if (edits := self._edits()) else "",
            parts=parts,
            remarks=remarks,
        )
        self.queue.add(job)

    def _on_ended(self, export: Export) -> None:
        if export.state == DONE:
            output = export.job.output
            took = f" in {span(export.took_s)}" if export.took_s >= 1 else ""
            self._notice.show_message(
                "; ".join([f"{output.name} is exported{took}", *export.warnings]),
                "warning" if export.warnings else "info",
                [
                    ("Open", lambda: open_outside(output)),
                    ("Show folder", lambda: open_outside(output.parent)),
                ],
            )
        elif export.state == FAILED:
            self._notice.show_message(f"{export.name} was not exported: {export.text}", "error")

    def under_way(self) -> str:
        """What runs and waits, and what becomes of it when the window is closed; "" where there is nothing."""
        running, waiting = self.queue.running, len(self.queue.exports) - 1
        if running is None:
            return ""
        output, asked = running.job.output, running.job.settings.format
        kept = f"kept as {part_name(output).name}" if keeps_part(asked or output.suffix) else "not kept"
        words = f"the export of {running.name}, of which the part done so far is {kept}"
        return f"{words}; {waiting} more that wait{'s' * (waiting == 1)}, not begun" if waiting else words

    def close(self) -> list[str]:
        """Stop what runs; its part stays, named as one. Names of threads that did not end."""
        self.worker.stop()
        if self.dialog is not None:
            self.dialog.close()
        self.queue.close()
        return self.worker.close()
