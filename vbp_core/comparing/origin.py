"""Which files networks came from, and whether two of them are one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.models.source import NetworkSource

if TYPE_CHECKING:
    from vbp.models.network import Network


NAMES = ("model", "weights", "spec")


@dataclass(frozen=True)
class File:
    """role: "model", "weights" or "spec". size: bytes."""

    role: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Origin:
    """source: the text that named the network. name, trained, trained_on: of its specification. files: what was read."""

    source: str
    name: str
    trained: bool
    trained_on: str
    files: tuple[File, ...]

    def is_same_as(self, other: Origin) -> bool:
        """Whether both are the very same network: named alike, or made of files with the same bytes."""
        if self.source == other.source:
            return True
        own, others = ([(f.role, f.sha256) for f in o.files] for o in (self, other))
        read = [NetworkSource.parse(o.source) for o in (self, other)]
        return bool(own) and own == others and self.name == other.name and not any(s.is_factory for s in read)


def origin_of(source: str, network: Network) -> Origin:
    """Of a network that was opened from `source`. Raises OSError."""
    given = NetworkSource.parse(source)
    paths = {"model": given.model, "weights": given.weights.partition("#")[0], "spec": given.spec}
    if network.path is not None and not given.weights:
        paths["model"] = str(network.path)
    found = [(role, Path(paths[role]).expanduser()) for role in NAMES if paths[role]]
    beside = Path(paths["model"]).expanduser().with_suffix(".toml")
    if not given.spec and not given.is_factory and beside.is_file():
        found.append(("spec", beside))
    files = tuple(_file(role, path) for role, path in found if path.is_file())
    return Origin(source, network.spec.name, network.trained, network.spec.trained_on, files)


def _file(role: str, path: Path) -> File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return File(role, str(path), path.stat().st_size, digest)
