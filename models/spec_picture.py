"""What a specification may say of the picture: its colours, how it is scaled, and what happens first."""

from __future__ import annotations

from typing import Any

from vbp.errors import ModelError

# How many numbers a pixel has in each; "rgb" and the others of its line are grey where the network takes one channel.
COLOURS = {
    "rgb": (1, 3),
    "bgr": (1, 3),
    "yuv": (1, 3),
    "yuv-bgr": (1, 3),
    "hsv": (3,),
    "lab": (3,),
    "hsv-s": (1,),
    "grey": (1,),
    "grey-pil": (1,),
}
AUTO = "auto"
OPENCV_RESIZES = ("linear", "area", "nearest", "cubic", "lanczos")
PIL_RESIZES = ("pil-nearest", "pil-box", "pil-bilinear", "pil-hamming", "pil-bicubic", "pil-lanczos")
RESIZES = (AUTO, *OPENCV_RESIZES, *PIL_RESIZES)
ORDER = ("crop", "colour", "blur", "resize")
MAX_BLUR = 31


def check_picture(spec: Any) -> None:
    """The fields of a NetworkSpec that say what happens to a picture. Raises ModelError."""
    _check_one_of("colour", spec.colour, tuple(COLOURS))
    if spec.channels not in COLOURS[spec.colour]:
        raise ModelError(
            f'colour "{spec.colour}" has {COLOURS[spec.colour][0]} channel{"s" * (spec.channels == 1)}, and the network takes '
            f"{spec.channels}; accepted for those: {', '.join(c for c in COLOURS if spec.channels in COLOURS[c])}"
        )
    _check_one_of("resize", spec.resize, RESIZES)
    if not 0 <= spec.blur <= MAX_BLUR or (spec.blur and spec.blur % 2 == 0):
        raise ModelError(
            f"blur of the specification is {spec.blur}; the size of OpenCV's GaussianBlur, an odd number up to {MAX_BLUR}, "
            "is accepted, or 0 for none"
        )
    order = spec.order
    words = order if isinstance(order, tuple) and all(isinstance(w, str) for w in order) else ()
    if sorted(words) not in (sorted(ORDER), sorted(set(ORDER) - {"blur"})) or (
        spec.blur and "blur" not in words
    ):
        raise ModelError(
            f"order of the specification is {str(order)[:60]}; what happens first is said by each of these once: "
            f"{', '.join(ORDER)} (blur may be left out where there is none)"
        )
    _check_resize_to(spec)


def _check_resize_to(spec: Any) -> None:
    """A picture that is cropped after it was scaled has to come out as the network takes it."""
    given = spec.resize_to
    good = isinstance(given, tuple) and len(given) in (0, 2)
    if not good or not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**16 for n in given):
        raise ModelError(f"resize_to of the specification is {str(given)[:40]}; [width, height] is accepted")
    if not spec.resizes_first:
        if given:
            raise ModelError(
                "resize_to is the size before the crop; say also what happens first, as order = "
                '["resize", "crop", "colour"], or leave it out: a crop is scaled to the input\'s size'
            )
        return
    width, height = given or (spec.input_width, spec.input_height)
    *_, w, h = spec.crop.pixels(height, width)
    if (w, h) != (spec.input_width, spec.input_height):
        raise ModelError(
            f"of a picture scaled to {width}x{height} the crop leaves {w}x{h}, and the network takes "
            f"{spec.input_width}x{spec.input_height}; set resize_to and crop so that they agree"
        )


def _check_one_of(name: str, value: object, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise ModelError(
            f"{name} of the specification is {str(value)[:40]!r}; accepted: {', '.join(accepted)}"
        )
