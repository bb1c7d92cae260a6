"""The thread that owns the network: loads it, and runs it over the frames that come, with a second one where there is one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Choices, Frame, NetworkFailed, NetworkReady, Second, Trouble
from vbp.edits.edit import NONE
from vbp.edits.follow import Follower
from vbp.errors import SizeUnknownError, VbpError
from vbp.frames import run_frame
from vbp.models.source import NetworkSource
from vbp.processes import give_memory_back
from vbp.results import FrameRequest
from vbp.session.crops import ChosenCrop

if TYPE_CHECKING:
    from vbp.engine import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Load:
    generation: int
    name: str  # of a shipped network, or a path
    device: str


class ModelThread(threading.Thread):
    """Frames go in by `frames` and out by `screen`, with the pass made over them.

    `engine` may be read from other threads: explanations of a pass are made elsewhere.
    """

    def __init__(
        self, tell: Callable[[object], None], screen: Mailbox[Frame], on_room: Callable[[], None]
    ) -> None:
        super().__init__(name="vbp-model", daemon=True)
        self._tell = tell
        self._screen = screen
        self._wake = threading.Condition()
        self._stopped = False
        self._load: Load | None = None
        self.frames: Mailbox[Frame] = Mailbox(on_put=self._notify, on_taken=on_room)
        self.on_pass: Callable[[Frame], None] | None = None  # hears of every frame that was run
        self.crop: ChosenCrop | None = None  # instead of the network's own rule; from the next frame on
        self.edits = NONE  # made in the picture, from the next frame on
        self._follower = Follower()
        self.engine: Engine | None = None
        self.generation = 0  # of that engine's network
        self._second: Second | None = None
        self._leaving: list[Second] = []
        self._loading = False
        self._complained: set[str] = set()  # of the networks in use
        self._told_choices = False
        self._ready = (0, "", "")  # generation, name and device, as they were told

    @property
    def ready(self) -> bool:
        """Whether a frame given now is run at once; while loading, frames go past the network."""
        return self.engine is not None and not self._loading

    def load(self, generation: int, name: str, device: str) -> None:
        with self._wake:
            self._load = Load(generation, name, device)
            self._loading = True
            self._wake.notify_all()

    def set_second(self, second: Second | None) -> None:
        """What runs beside the network, from the next frame on; it belongs to this thread then."""
        with self._wake:
            self._leaving += [self._second] if self._second is not None else []
            self._second = second
            self._wake.notify_all()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        self.frames.close()

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def run(self) -> None:
        while True:
            with self._wake:
                while not (self._stopped or self._load or self._leaving) and self.frames.empty:
                    self._wake.wait()
                if self._stopped:
                    break
                load, self._load = self._load, None
                leaving, self._leaving = self._leaving, []
            try:
                for one in leaving:
                    one.engine.close()
                if load is not None:
                    self._open(load)
                elif (frame := self.frames.take()) is not None:
                    self._run(frame)
            except Exception as error:
                log.exception("in the network's thread")
                self._tell(Trouble(f"The network's thread met an error: {error}"))
        if self.engine is not None:
            self.engine.close()
        for one in (*self._leaving, *([self._second] if self._second is not None else [])):
            one.engine.close()

    def _open(self, load: Load) -> None:
        try:
            # Imported here: torch takes seconds, and the window should stand before.
            from vbp.engine import Engine
            from vbp.models.registry import load_network

            self._tell_choices()
            network = load_network(load.name)  # what is assumed of it is said in the window
            engine = Engine(network, device=load.device)
        except Exception as error:
            draft = None
            if isinstance(error, SizeUnknownError):
                from vbp.models.assume import draft as begin

                draft = begin(NetworkSource.parse(load.name).title, error.sizes)
            if isinstance(error, VbpError):
                text = str(error)
            else:
                log.exception("loading %s", load.name)
                text = f"{load.name} could not be loaded: {error}"
            self._loading = self._load is not None
            self._tell(NetworkFailed(load.generation, load.name, text, draft))  # the one before stays in use
            return
        with self._wake:
            if self._load is not None or self._stopped:  # another was asked for meanwhile
                return
            self.generation = load.generation
            before, self.engine = self.engine, engine
            self._loading = False
            self._complained.clear()
        if before is not None:
            before.close()
            del before
            give_memory_back()
        self._tell_ready(load.generation, load.name, engine)

    def _tell_ready(self, generation: int, name: str, engine: Engine) -> None:
        from vbp.engine import describe_device

        self._ready = generation, name, engine.device
        self._tell(
            NetworkReady(generation, name, engine.network, engine.device, describe_device(engine.device))
        )
        if engine.trouble:
            self._tell(Trouble(engine.trouble))

    def _tell_choices(self) -> None:
        from vbp.engine import devices
        from vbp.models.known import available

        if not self._told_choices:
            self._told_choices = True
            self._tell(Choices([(entry.name, entry.note) for entry in available()], devices()))

    def _run(self, frame: Frame) -> None:
        engine = self.engine
        if engine is not None and frame.image is not None:
            try:
                chosen = self.crop
                crop = chosen.at(*frame.image.shape[:2]) if chosen is not None else None
                request = FrameRequest(crop=crop, edits=self.edits)
                record = run_frame(frame.record, [engine], request, self._follower)
                frame = replace(frame, record=record, network=self.generation)
                frame = self._run_second(frame, replace(request, edits=record.edits))
                if engine.device != self._ready[2]:  # the card failed, and the CPU went on
                    self._tell_ready(*self._ready[:2], engine)
            except Exception as error:  # the picture is still worth showing
                self._complain(f"The network could not be run: {error}")
        if self.on_pass is not None:
            self.on_pass(frame)
        if frame.lossless:
            self._screen.put_when_empty(frame)
        else:
            self._screen.put(frame)

    def _run_second(self, frame: Frame, request: FrameRequest) -> Frame:
        """Apart from the first, which is shown whatever becomes of the second."""
        second = self._second
        if second is None or frame.beside:
            return frame
        try:
            other = run_frame(frame.record, [second.engine], request)
        except Exception as error:
            self._complain(f"The second network could not be run: {error}")
            return frame
        record = replace(frame.record, results=(*frame.record.results, *other.results))
        return replace(frame, record=record, second=second.generation)

    def _complain(self, text: str) -> None:
        if text not in self._complained:
            self._complained.add(text)
            log.exception("running a network")
            self._tell(Trouble(text))
