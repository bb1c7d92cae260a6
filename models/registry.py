"""The networks known by name: those of the paper, and the weights that ship with the program."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from vbp.errors import ModelError
from vbp.models.factory import load_factory
from vbp.models.foreign import refuse_foreign
from vbp.models.formats import format_of
from vbp.models.known import SPECS, available
from vbp.models.network import Network, build, load_checkpoint
from vbp.models.source import NetworkSource
from vbp.reading import damaged, inside, refuse_pointer


def load_network(source: str | Path | NetworkSource) -> Network:
    """A network by name ("NetSVF", any case), from a .safetensors, .onnx, .pt2 or Keras file, or of the user's own code.

    Text is read as NetworkSource.parse does: MODEL?weights=FILE&spec=FILE. Raises ModelError.
    """
    if not isinstance(source, NetworkSource):
        source = NetworkSource.parse(source)
    for file in filter(None, (source.model, source.weights, source.spec)):
        refuse_pointer(Path(file).expanduser(), ModelError)
    for entry in available():
        if source.model.lower() == entry.name.lower():
            if source.weights and not entry.path:
                raise ModelError(
                    f"{entry.name} becomes a file of its own with weights: vbp import-weights {source.weights} "
                    f"--network {entry.name} -o FILE.safetensors, and then --model FILE.safetensors"
                )
            _refuse_extra_files(source)
            return load_checkpoint(entry.path) if entry.path else build(SPECS[entry.name]())
    if source.is_factory:
        return load_factory(source)
    path = Path(source.model).expanduser()
    if not source.model or not path.exists():
        names = ", ".join(SPECS)
        raise ModelError(
            f"there is no network {source.model or 'without a name'}; give the path of a .safetensors, .onnx, .pt2 or Keras file, "
            f"package.module:factory of your own code, or one of: {names}"
        )
    refuse_foreign(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the .safetensors file in it")
    with damaged(path, ModelError), inside(path.parent, path, *filter(None, (source.weights, source.spec))):
        if known := format_of(path):
            load: Callable[[Path, NetworkSource], Network] = import_module(known.module).load
            return load(path, source)
        network = load_checkpoint(path)
        _refuse_extra_files(source)
        return network


def _refuse_extra_files(source: NetworkSource) -> None:
    for what, given in (("weights", source.weights), ("specification", source.spec)):
        if given:
            raise ModelError(f"{source.model} has {what} of its own, and {given} was given too; leave it out")
