"""The stretches in which two networks differ, of what both said so far; of a long drive that takes a second."""

from __future__ import annotations

from vbp.app.jobs.worker import Worker
from vbp.comparing.moments import moments
from vbp.comparing.pair import Compared


def find_differences(seen: Compared, worker: Worker[Compared]) -> None:
    """Tells `Moments`."""
    worker.tell(moments(seen))
