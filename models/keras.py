"""Networks by Keras 1, 2 and 3, opened without Keras: nothing in the file is run, not even its Lambda layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vbp.errors import ModelError
from vbp.models.keras_config import Model, Ref, input_shape, read_model
from vbp.models.keras_file import read_keras
from vbp.models.keras_program import build, is_channels_first
from vbp.models.network import Network
from vbp.models.source import NetworkSource
from vbp.models.spec import MAX_BINS, NetworkSpec
from vbp.models.spec_file import read_spec
from vbp.reading import damaged


def load_keras(path: Path, source: NetworkSource) -> Network:
    """The network in the file, with the specification that `source.spec` names, or the .toml file beside it.

    Without one, what the file does not say is assumed, and `Network.assumed` says what. Raises ModelError.
    """
    weights = Path(source.weights).expanduser() if source.weights else None
    try:
        with damaged(path, ModelError), _named(path):
            file = read_keras(path, weights)
            model = read_model(file.config)
            picture = _picture(model)
            sizes = _sizes(model, picture)
            known = {
                k: n for k, n in zip(("input_height", "input_width", "channels"), sizes, strict=True) if n
            }
            spec, assumed = _specification(path, source, model, known)
            _check_inputs(model, picture, spec.inputs)
            program = build(file, model, picture, spec)
    except OSError as error:  # h5py's, too, of what is damaged
        raise ModelError(
            f"{path} cannot be read, or it is damaged: {error.strerror or str(error)[:100]}"
        ) from error
    return Network(spec, program, path, trained=True, assumed=assumed)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A ModelError names the file, if it does not."""
    try:
        yield
    except ModelError as error:
        raise error if str(path.with_suffix("")) in str(error) else ModelError(f"{path}: {error}") from error


def _specification(
    path: Path, source: NetworkSource, model: Model, known: dict[str, int]
) -> tuple[NetworkSpec, str]:
    """That in a file, or what is assumed and a sentence that says so."""
    beside = path.with_suffix(".toml")
    spec_file = source.spec or (str(beside) if beside.is_file() else "")
    if spec_file:
        return read_spec(spec_file, name=path.stem, known=known, of_keras=True), ""
    if len(known) < 3:
        raise ModelError(
            f"it takes pictures of any size: give --spec FILE.toml that says input_height and input_width, or put "
            f"{beside.name} beside it"
        )
    return assume(path.stem, model, known)


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
    """Rows, columns and channels of the picture. Raises ModelError for another thing than one."""
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
    return rows, columns, channels


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


def assume(name: str, model: Model, known: dict[str, int]) -> tuple[NetworkSpec, str]:
    """A specification of what the file does not say, and a sentence that says so."""
    scales = _scales_itself(model)
    names = [ref.layer for ref in model.outputs]
    steers = next((i for i, v in enumerate(names) if _is_steering(v)), 0)
    last = [next(layer for layer in model.layers if layer.name == v) for v in names[: steers + 1]]
    units = [layer.config.get("units", 1) for layer in last]
    shares = (
        isinstance(units[-1], int)
        and 2 < units[-1] <= MAX_BINS
        and last[-1].config.get("activation") == "softmax"
    )
    classes = shares and len(names) == 1 and not _is_steering(names[0])
    bins = tuple(2 * i / (units[-1] - 1) - 1 for i in range(units[-1])) if shares and not classes else ()
    spec = NetworkSpec(
        name=name,
        architecture="",
        arguments={},
        input_height=known["input_height"],
        input_width=known["input_width"],
        channels=known["channels"],
        std=1 / 255 if scales else 1.0,
        output_unit="deg",
        output_sign="right",
        output_scale=25.0,
        output_index=sum(n for n in units[:-1] if isinstance(n, int)),
        output_bins=bins,
        output="class" if classes else "steering_wheel_angle",
    )
    colour = "RGB" if spec.channels == 3 else "grey"
    values = "0 to 255, as the network scales them itself" if scales else "0 to 1"
    which = f"output {names[steers]}" if len(names) > 1 else "its output"
    which += f", {len(bins)} bins from -1 to 1," if bins else ""
    meaning = (
        f"its output are {units[-1]} classes"
        if classes
        else f"{which} times 25 degrees to the right is the angle"
    )
    return spec, (
        f"{name} does not say how its pictures and its output are meant. Assumed: the whole picture in {colour}, from "
        f"{values}; {meaning}. Where that is wrong, so is what is predicted: say it in a "
        f"specification, --spec FILE.toml or {name}.toml beside the file"
    )


def _is_steering(name: str) -> bool:
    return any(word in name.lower() for word in ("steer", "angle"))


def _scales_itself(model: Model) -> bool:
    """Before the first convolution stands what scales, so that it is given pictures as they are."""
    layers = model.layers
    while layers and layers[0].model is not None:
        layers = layers[0].model.layers
    for layer in layers[:5]:
        if layer.kind in ("Lambda", "Rescaling", "Normalization", "BatchNormalization"):
            return True
        if layer.model is not None or layer.kind.startswith(("Conv", "Dense")):
            break
    return False
