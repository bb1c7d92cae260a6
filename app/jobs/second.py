"""Opens a second network, in a thread of its own: the first one goes on meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Second
from vbp.errors import SizeUnknownError, VbpError
from vbp.models.source import NetworkSource


@dataclass(frozen=True)
class SecondRequest:
    """name: as `NetworkSource` reads it. device: where it runs, by torch's name."""

    generation: int
    name: str
    device: str


def open_second(request: SecondRequest, worker: Worker[SecondRequest]) -> None:
    """Tells `Second`. Raises VbpError, one sentence."""
    from vbp.engine import Engine
    from vbp.models.registry import load_network

    try:
        network = load_network(request.name)
    except SizeUnknownError as error:
        title = NetworkSource.parse(request.name).title
        raise VbpError(
            f"{title} needs a specification before it can be compared with: open it as the network first, and fill in the form"
        ) from error
    worker.tell(Second(request.generation, request.name, Engine(network, device=request.device)))
