"""A specification written by hand: a TOML file with the fields of NetworkSpec."""

from __future__ import annotations

import math
import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vbp.errors import ModelError, SizeUnknownError
from vbp.models.presets import PRESETS
from vbp.models.spec import MAX_BINS, CropRule, NetworkSpec
from vbp.models.spec_layers import check_inputs, check_said
from vbp.reading import read_file

MAX_BYTES = 1_000_000
NOT_IN_FILE = ("architecture", "arguments")
ACCEPTED = tuple(f.name for f in fields(NetworkSpec) if f.name not in NOT_IN_FILE)
CROP_FIELDS = ("kind", "rows", "of_width", "rect", "pixels", "of")
SIZES = ("channels", "input_height", "input_width")
RAW = (0.0, 255.0)  # the input_range of pictures as they are


def read_spec(
    path: str | Path, name: str = "", known: dict[str, int] | None = None, of_keras: bool = False
) -> NetworkSpec:
    """The specification in a TOML file. name: the network's, where the file gives none.

    known: fields that the network itself says (input_height, input_width, channels of an .onnx or .pt2 file); the file
    may leave them out. of_keras: it may say what layers compute. input_range = [low, high] stands for mean and std: what
    black and white become, of each channel where there are three such pairs, or "none" for 0 to 255; output_bins = 15 for as
    many numbers from -1 to 1; preset = a name of PRESETS for what the file leaves out. The unit and the side of an angle have to be there: they are never guessed. Raises ModelError of one sentence.
    """
    path = Path(path).expanduser()
    data = _load(path)
    try:
        return make_spec(data, name or path.stem, known, of_keras)
    except (ModelError, TypeError, OverflowError) as error:
        raise ModelError(f"{path}: {error}") from error


def make_spec(
    data: dict[str, Any], name: str, known: dict[str, int] | None = None, of_keras: bool = False
) -> NetworkSpec:
    """The specification of what a TOML file holds, see `read_spec`. Raises ModelError, TypeError, OverflowError."""
    data = dict(data)
    for field, value in (known or {}).items():
        if data.setdefault(field, value) != value:
            raise ModelError(f"{field} is {data[field]}, and the network itself says {value}")
    _check_names(data, (*ACCEPTED, "input_range", "preset"), "")
    data = _with_preset(data)
    crop = _crop(data.pop("crop", {}))
    if "classes" in data and data.get("output") != "class":
        raise ModelError('classes are those of a classifier, which says output = "class"; leave them out')
    if "layers" in data:
        data["layers"] = check_said(data["layers"])
    if "inputs" in data:
        data["inputs"] = check_inputs(data["inputs"])
    if not of_keras and (given := {"layers", "inputs"} & set(data)):
        raise ModelError(f"{given.pop()} are those of a Keras file; leave them out")
    if isinstance(bins := data.get("output_bins"), int) and 1 < bins <= MAX_BINS:
        data["output_bins"] = [2 * i / (bins - 1) - 1 for i in range(bins)]
    _normalise(data)
    _check_complete(data)
    data.setdefault("name", name)
    return NetworkSpec(architecture="", arguments={}, crop=crop, **data)


def spec_beside(network: Path) -> Path:
    """Where the specification of a network in a file lies, unless another file is named."""
    return network.with_suffix(".toml")


def given_spec(
    path: Path, named: str, sizes: tuple[int | None, ...], of_keras: bool = False
) -> NetworkSpec | None:
    """The specification of the network in the file `path`: in the file `named`, or beside it; None where there is none.

    sizes: (channels, height, width) that the network itself says; None where any will do. Raises ModelError.
    """
    known = {name: size for name, size in zip(SIZES, sizes, strict=False) if size is not None}
    file = Path(named) if named else spec_beside(path)
    return read_spec(file, path.stem, known, of_keras) if named or file.is_file() else None


def whole_size(path: Path, sizes: tuple[int | None, ...]) -> tuple[int, int, int]:
    """The sizes, if the network says all of them. Raises SizeUnknownError, which says how to give them."""
    channels, height, width = sizes
    if channels is None or height is None or width is None:
        shape = "x".join("any" if n is None else str(n) for n in sizes)
        missing = [name for name, n in zip(SIZES, sizes, strict=False) if n is None]
        raise SizeUnknownError(
            f"{path} takes pictures of any size ({shape}): say {' and '.join(missing)} in a specification, "
            f"--spec FILE.toml or {spec_beside(path).name} beside it; {HINT}",
            sizes,
        )
    if channels not in (1, 3):
        raise ModelError(f"{path} takes pictures of {channels} channels; 1 (grey) or 3 are known")
    return channels, height, width


def _load(path: Path) -> dict[str, Any]:
    try:
        text = read_file(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"the specification {path} cannot be read: {reason}") from error
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is no TOML file: {error}") from error
    except (ValueError, RecursionError) as error:  # Python reads no whole number of more digits
        why = (
            "it is nested too deep"
            if isinstance(error, RecursionError)
            else "it holds a number of thousands of digits"
        )
        raise ModelError(f"{path} cannot be read: {why}") from error


def _check_names(table: dict[str, Any], accepted: tuple[str, ...], prefix: str) -> None:
    for name in table:
        if name not in accepted:
            near = get_close_matches(name, accepted, 1)
            meant = f" ({prefix}{near[0]} was meant?)" if near else ""
            raise ModelError(f"there is no field {prefix}{name[:40]}{meant}; accepted: {', '.join(accepted)}")


def _with_preset(data: dict[str, Any]) -> dict[str, Any]:
    """What the preset says where the file says nothing; what scales and what is cropped is said by one of them alone."""
    if "preset" not in data:
        return data
    name = data.pop("preset")
    if not isinstance(name, str) or name not in PRESETS:
        raise ModelError(f"there is no preset {str(name)[:40]!r}; accepted: {', '.join(PRESETS)}")
    preset = dict(PRESETS[name])
    if {"mean", "std"} & set(data):
        preset.pop("input_range", None)
    if "crop" in data:  # the size before a crop belongs to that crop
        preset.pop("resize_to", None)
    if data.get("output") == "class":
        preset = {k: v for k, v in preset.items() if not k.startswith("output_")}
    return {**preset, **data}


def _normalise(data: dict[str, Any]) -> None:
    """input_range in mean and std: a picture in [0, 1] becomes (x - mean) / std."""
    if "input_range" not in data:
        return
    if "mean" in data or "std" in data:
        raise ModelError("input_range stands for mean and std; give the one or the others")
    given = data.pop("input_range")
    if given == "none":
        ranges = [RAW]
    elif isinstance(given, list) and given and all(isinstance(v, list) for v in given):
        ranges = [_range(v) for v in given]
    else:
        ranges = [_range(given)]
    means = tuple(-low / (high - low) for low, high in ranges)
    stds = tuple(1 / (high - low) for low, high in ranges)
    one = len(ranges) == 1
    data["mean"], data["std"] = (means[0], stds[0]) if one else (means, stds)


def _range(value: Any) -> tuple[float, float]:
    low, high = _numbers("input_range", value, 2)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ModelError(f"input_range is [{low}, {high}]; two finite numbers are accepted")
    if not high > low:
        raise ModelError(f"input_range is [{low}, {high}]; the second has to be the larger")
    return low, high


def _crop(given: Any) -> CropRule:
    """[crop] says its kind by what it gives."""
    if not isinstance(given, dict):
        raise ModelError(
            "crop is no table; write [crop] and below it kind, rows and of_width, rect, or pixels and of"
        )
    _check_names(given, CROP_FIELDS, "crop.")
    crop = dict(given)
    said = [
        kind for name, kind in (("pixels", "pixels"), ("rect", "rect"), ("rows", "bottom")) if name in crop
    ]
    if "kind" not in crop and said:
        crop["kind"] = said[0]
    if crop.get("kind") in ("rect", "pixels") and crop["kind"] not in crop:
        what = "fractions" if crop["kind"] == "rect" else "pixels"
        raise ModelError(
            f"a crop of kind {crop['kind']} needs {crop['kind']} = [x, y, width, height], {what} of the frame"
        )
    if "rect" in crop:
        crop["rect"] = _numbers("crop.rect", crop["rect"], 4)
    if crop.get("kind") != "pixels":
        if left := {"pixels", "of"} & set(crop):
            raise ModelError(f"crop.{left.pop()} belongs to a crop in pixels; leave it out")
        return CropRule(**crop)
    if others := set(crop) - {"kind", "pixels", "of"}:
        raise ModelError(f"a crop in pixels has pixels and of, and no {others.pop()}; leave it out")
    if "of" not in crop:
        raise ModelError(
            "a crop in pixels needs of = [width, height], the size of the frame that they are counted in"
        )
    width, height = crop["of"] if _whole(crop["of"], 2) else (0, 0)
    if not (width and _whole(crop["pixels"], 4)):
        raise ModelError(
            f"the crop {str(crop['pixels'])[:40]} of {str(crop['of'])[:40]} is none; pixels = [x, y, width, height] and "
            "of = [width, height] are accepted, whole numbers"
        )
    x, y, w, h = map(float, crop["pixels"])
    return CropRule("pixels", of_width=width, of_height=height, rect=(x, y, w, h))


def _whole(value: Any, count: int) -> bool:
    good = isinstance(value, list) and len(value) == count
    return good and all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**16 for v in value)


def _numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    good = isinstance(value, list) and len(value) == count
    if not good or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        raise ModelError(f"{name} is {str(value)[:40]}; a list of {count} numbers is accepted")
    return tuple(float(v) for v in value)


def _check_complete(data: dict[str, Any]) -> None:
    wanted = ["input_height", "input_width", "channels"]
    if data.get("output") != "class":
        wanted += ["output_unit", "output_sign"]
    missing = [name for name in wanted if name not in data]
    if missing:
        raise ModelError(f"{' and '.join(missing)} must be said; {HINT}")


HINT = (
    'for example input_height = 66, input_width = 200, channels = 3, output_unit = "rad" (or "deg", "1/m"), '
    'output_sign = "left"; a classifier has output = "class" instead'
)
