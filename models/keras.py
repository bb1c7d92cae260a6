"""Networks by Keras 1, 2 and 3, opened without Keras: nothing in the file is run, not even its Lambda layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vbp.errors import ModelError
from vbp.models.assume import assume, outputs_of
from vbp.models.keras_config import Model, Ref, input_shape, read_model
from vbp.models.keras_file import read_keras
from vbp.models.keras_program import build, is_channels_first
from vbp.models.network import Network
from vbp.models.source import NetworkSource
from vbp.models.spec_file import given_spec, whole_size
from vbp.reading import damaged


def load(path: Path, source: NetworkSource) -> Network:
    """The network in the file, with its specification, as `given_spec` finds it, or what is assumed. Raises ModelError."""
    weights = Path(source.weights).expanduser() if source.weights else None
    try:
        with damaged(path, ModelError), _named(path):
            file = read_keras(path, weights)
            model = read_model(file.config)
            picture = _picture(model)
            sizes = _sizes(model, picture)
            spec, assumed = given_spec(path, source.spec, sizes, of_keras=True), ""
            size = (
                whole_size(path, sizes)
                if spec is None
                else (spec.channels, spec.input_height, spec.input_width)
            )
            inputs = spec.inputs if spec is not None else {}
            _check_inputs(model, picture, inputs)
            program = build(file, model, picture, size, spec.layers if spec is not None else {}, inputs)
            outputs = outputs_of(program, size, [ref.layer for ref in model.outputs])
            if spec is None:
                spec, assumed = assume(path.stem, program, size, outputs)
    except OSError as error:  # h5py's, too, of what is damaged
        raise ModelError(
            f"{path} cannot be read, or it is damaged: {error.strerror or str(error)[:100]}"
        ) from error
    return Network(spec, program, path, trained=True, assumed=assumed, outputs=outputs)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A ModelError names the file, if it does not."""
    try:
        yield
    except ModelError as error:
        raise error if str(path.with_suffix("")) in str(error) else ModelError(f"{path}: {error}") from error


def _picture(model: Model) -> Ref:
    """The one picture among the inputs; others can be numbers. Raises ModelError that names the inputs."""
    shapes = {ref: _input(model, ref) for ref in model.inputs}
    pictures = [ref for ref, shape in shapes.items() if shape and len(shape) > 2]
    if len(pictures) == 1 and all(
        shape and len(shape) == 1 and shape[0] for ref, shape in shapes.items() if ref not in pictures
    ):
        return pictures[0]
    if len(shapes) != 1:
        raise ModelError(f"it takes {len(shapes)} inputs, {_named_inputs(model)}; vbp gives it one picture")
    return model.inputs[0]


def _named_inputs(model: Model) -> str:
    return ", ".join(f"{ref.layer} ({_text(_input(model, ref))})" for ref in model.inputs)


def _sizes(model: Model, picture: Ref) -> tuple[int | None, int | None, int | None]:
    """Channels, rows and columns of the picture. Raises ModelError for another thing than one."""
    shape, named = _input(model, picture), _named_inputs(model)
    if shape is None:
        raise ModelError("its configuration does not say how large its input is")
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) == 4:
        frames = shape[0] if shape[0] is not None else "several"
        raise ModelError(f"it takes {frames} pictures at once, {named}; vbp gives it one")
    if len(shape) != 3:
        raise ModelError(f"it takes {named}, which is no picture of rows, columns and channels")
    rows, columns, channels = shape if not is_channels_first(shape) else (*shape[1:], shape[0])
    if channels not in (1, 3):
        raise ModelError(
            f"it takes {named}: pictures of {channels or 'any number of'} channels; 1 (grey) or 3 are known"
        )
    return channels, rows, columns


def _check_inputs(model: Model, picture: Ref, given: dict[str, float]) -> None:
    """What is not the picture has a number in the specification. Raises ModelError."""
    others = [ref.layer for ref in model.inputs if ref != picture]
    missing = [name for name in others if name not in given]
    if missing:
        raise ModelError(
            f"it takes {len(model.inputs)} inputs, {_named_inputs(model)}, and vbp gives it one picture: say in the "
            f'specification what the others are, [[inputs]] and below it name = "{missing[0]}" and value = 0.0'
        )
    if unknown := [name for name in given if name not in others]:
        raise ModelError(
            f"the specification gives a value for the input {unknown[0][:60]}, and it can be given for: {', '.join(others) or 'none'}"
        )


def _input(model: Model, ref: Ref) -> tuple[int | None, ...] | None:
    return input_shape(Model(model.name, model.layers, [ref], []))


def _text(shape: tuple[int | None, ...] | None) -> str:
    return "x".join("any" if n is None else str(n) for n in shape) if shape else "of unknown size"
