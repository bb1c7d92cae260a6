"""The window's networks and training runs: chosen, loaded, followed, and what changes with them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray
from PySide6.QtWidgets import QFileDialog

from vbp.app.control.drive_commands import DriveCommands
from vbp.app.panels.title import PanelTitle
from vbp.app.player.messages import Choices, NetworkFailed, NetworkReady, PredictEnded
from vbp.app.shell import layout
from vbp.app.state.actions import PANELS
from vbp.drives.base import OpenOptions
from vbp.models.source import NetworkSource

DEFAULT_NETWORK = "NetSVF"
TALL = 0.6  # of an input's width


class NetworkCommands(DriveCommands):
    """The window makes the parts."""

    _alone: QByteArray | None
    _tall: bool  # the network's input; the kept layout is that for a wide one

    def use_network(self, name: str) -> None:
        self.top.set_network(name)
        self.player.load_network(name, str(self.top.device.currentData() or "auto"))

    def start_network(self, name: str, device: str | None = None) -> None:
        """The first network; a device named on the command line is for this time only."""
        if device is not None:
            self.top.set_device(device)
        self.top.set_network(name)
        self.player.load_network(name, device or str(self.top.device.currentData() or "auto"))

    def use_device(self, name: str) -> None:
        self.top.set_device(name)
        self.settings.set("device", name)
        self.player.load_network(self.player.network_name or DEFAULT_NETWORK, name)

    def open_network_file(self) -> None:
        recent = self.settings.recent("networks")
        start = str(Path(recent[0]).parent) if recent else str(Path.home())
        name, _ = QFileDialog.getOpenFileName(
            self, "Open a network", start, "Networks (*.safetensors *.pt2);;All files (*)"
        )
        if name:
            self.open_network(Path(name))

    def open_network(self, path: Path) -> None:
        """A network's file; of a .pt2 file without a specification beside it, that is asked for."""
        source = NetworkSource(str(path))
        if path.suffix == ".pt2" and not path.with_suffix(".toml").is_file():
            title = f"The specification of {path.name}: what goes in and comes out"
            spec, _ = QFileDialog.getOpenFileName(self, title, str(path.parent), "Specifications (*.toml)")
            source = NetworkSource(str(path), spec=spec)
        self.use_network(str(source))

    def _on_choices(self, choices: Choices) -> None:
        files = [p for p in self.settings.recent("networks") if Path(NetworkSource.parse(p).model).is_file()]
        self.top.set_choices(choices, files)

    def _name_docks(self, of_classes: bool) -> None:
        """Two docks are called by what the network tells."""
        titles = {name: title for name, title, _ in PANELS}
        for name, title in (("steering", "Class"), ("angle", "Probability")):
            title = title if of_classes else titles[name]
            self.docks[name].setWindowTitle(title)
            bar = self.docks[name].titleBarWidget()
            if isinstance(bar, PanelTitle):
                bar.name.setText(title)
            self.actions_by_id[f"panel-{name}"].setText(title)

    def _on_network(self, ready: NetworkReady) -> None:
        self.top.set_network(ready.name)
        self._name_docks(ready.network.spec.is_classifier)
        self.top.target.set_spec(ready.network.spec)
        self._arrange_maps(ready.network.spec.input_height > TALL * ready.network.spec.input_width)
        if self.run.owns(ready.name):
            return  # passed through on the way; the network that is remembered is the one before
        source = NetworkSource.parse(ready.name)
        if source.is_factory:
            return  # the user's own code is run when they ask for it, not because it was run before
        if Path(source.model).is_file():
            self.settings.add_recent(str(source.absolute()), "networks")
        self.settings.set("network", ready.name)

    def _arrange_maps(self, tall: bool) -> None:
        if tall != self._tall and self._alone is None:
            self._tall = tall
            layout.arrange_maps(self, self.docks, tall)

    def _on_target(self, target: str) -> None:
        self.presenter.methods.set_target(target)
        of_classes = target.startswith("class")
        self.settings.set("target/class" if of_classes else "target/angle", target)

    # A training run.

    def open_run(self) -> None:
        start = self.settings.text("run", self._last_folder())
        name = QFileDialog.getExistingDirectory(
            self, "Open a training run: the folder of vbp train -o", start
        )
        if name:
            self.show_run(Path(name))

    def show_run(self, path: Path) -> None:
        """Bring up the panel and follow the run in this folder."""
        self.notice.dismiss()
        self.settings.set("run", str(path.expanduser().absolute().parent))
        self.run.open(path)
        self._raise_run()

    def _raise_run(self) -> None:
        if self.run.opened:
            self.docks["run"].show()
            self.docks["run"].raise_()

    def _use_checkpoint(self, name: str) -> None:
        before = self.player.network_name
        self.use_network(name)
        if self.run.owns(before):
            self.top.forget_file(before)  # the list of networks holds the one in use, not all that were seen

    def _open_runs_drive(self, path: Path, options: OpenOptions, frame: int) -> None:
        if self.stack.currentWidget() is self.start_page:
            self.open_drive(path, options, frame)

    def _on_network_failed(self, failed: NetworkFailed) -> None:
        self.notice.show_message(failed.text, "error")
        ready = self.player.ready
        source = NetworkSource.parse(failed.name)
        known = Path(source.model).is_file() and str(source.absolute()) in self.settings.recent("networks")
        if not known and (ready is None or failed.name != ready.name):
            self.top.forget_file(failed.name)
        if ready is not None:
            self.top.set_network(ready.name)
            self.panels.status.set_device(ready.device_text)
        elif failed.name != DEFAULT_NETWORK:
            self.use_network(DEFAULT_NETWORK)
        else:
            self.panels.status.set_device("no network")

    def _on_predict_ended(self, ended: PredictEnded) -> None:
        self.actions_by_id["predict"].setChecked(False)
        if ended.text and ended.text != "stopped":
            self.notice.show_message(ended.text, "error")
