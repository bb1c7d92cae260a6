"""The networks known by name: those of the paper, and the weights that ship with the program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.network import Network, build, load_checkpoint
from models.signs import netsign
from models.spec import ModelFileError, NetworkSpec
from models.steering import nethvf, netsvf

WEIGHTS = Path(__file__).parent / "weights"

# A new network is one line here.
SPECS: dict[str, Callable[[], NetworkSpec]] = {"NetSVF": netsvf, "NetHVF": nethvf, "NetSign": netsign}


@dataclass(frozen=True)
class NetworkEntry:
    """A name that `load_network` takes, its weights file (None: fresh weights), and a word on it."""

    name: str
    path: Path | None
    note: str


def available() -> list[NetworkEntry]:
    entries = []
    for name in SPECS:
        path = WEIGHTS / f"{name.lower()}.safetensors"
        if path.exists():
            entries.append(NetworkEntry(name, path, "trained"))
        else:
            entries.append(NetworkEntry(name, None, "untrained: random weights"))
    return entries


def load_network(name_or_path: str | Path) -> Network:
    """A network by name ("NetSVF", any case) or from a .safetensors file. Raises ModelFileError."""
    text = str(name_or_path)
    for entry in available():
        if text.lower() == entry.name.lower():
            return load_checkpoint(entry.path) if entry.path else build(SPECS[entry.name]())
    path = Path(text).expanduser()
    if not path.exists():
        names = ", ".join(SPECS)
        raise ModelFileError(
            f"there is no network {text}; give the path of a .safetensors file, or one of: {names}"
        )
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; give the .safetensors file in it")
    return load_checkpoint(path)
