"""How a specification does on the drive that is open, and the search for the one that fits best."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.app.jobs.worker import SupersededError, Worker
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.errors import VbpError

if TYPE_CHECKING:
    from vbp.fitting.agreement import Agreement
    from vbp.fitting.frames import LabelledFrames
    from vbp.fitting.outputs import SpecCheck
    from vbp.fitting.results import SpecFit
    from vbp.models.network import Network
    from vbp.models.spec import NetworkSpec

FRAMES = 50  # of a correlation
TELL_S = 0.1  # between two words on the progress


@dataclass(frozen=True)
class SpecRequest:
    """spec: what is asked about; None: search for one. path, options: of the recording."""

    network: Network
    path: Path
    options: OpenOptions
    device: str
    spec: NetworkSpec | None = None


@dataclass(frozen=True)
class Checked:
    spec: NetworkSpec
    agreement: Agreement


@dataclass(frozen=True)
class Fitting:
    share: float


@dataclass(frozen=True)
class Fitted:
    result: SpecFit


class SpecJob:
    """The work of one worker: what is the same for one specification after another, pictures and network, is read once."""

    def __init__(self) -> None:
        self._of: tuple[Path, OpenOptions] | None = None
        self._frames: LabelledFrames | None = None
        self._check: SpecCheck | None = None

    def __call__(self, request: SpecRequest, worker: Worker[SpecRequest]) -> None:
        """Raises VbpError where the drive has no angles to compare with."""
        from vbp.fitting.outputs import CancelledError

        try:
            if request.spec is None:
                self._fit(request, worker)
            else:
                worker.tell(Checked(request.spec, self._checked(request, request.spec, worker)))
        except CancelledError as error:
            raise SupersededError from error
        except VbpError:
            if worker.cancelled:  # it may only have been given too little time
                raise SupersededError from None
            raise

    def _checked(self, request: SpecRequest, spec: NetworkSpec, worker: Worker[SpecRequest]) -> Agreement:
        from vbp.fitting.frames import choose_labelled
        from vbp.fitting.outputs import SpecCheck

        of = (request.path, request.options)
        if self._frames is None or self._of != of:
            self.close()
            with open_drive(request.path, request.options) as drive:
                frames = choose_labelled(drive, FRAMES, lambda: not worker.cancelled)
            worker.check()
            self._frames, self._of = frames, of
        if self._check is None or self._check.network is not request.network:
            if self._check is not None:
                self._check.close()
            self._check = SpecCheck(request.network, self._frames, request.device)
        return self._check(spec, keep_on=lambda: not worker.superseded)

    def _fit(self, request: SpecRequest, worker: Worker[SpecRequest]) -> None:
        from vbp.fitting.search import fit_spec

        told = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                worker.tell(Fitting(done / max(1, total)))

        with open_drive(request.path, request.options) as drive:
            result = fit_spec(
                request.network,
                drive,
                device=request.device,
                progress=progress,
                keep_on=lambda: not worker.superseded,
            )
        worker.tell(Fitted(result))

    def close(self) -> None:
        """Let go of what was read; of a worker that has ended."""
        if self._check is not None:
            self._check.close()
        self._frames = self._check = self._of = None
