"""What is assumed of a network whose file does not say how its pictures and its output are meant, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from vbp.models.program import Node, Program, Ref
from vbp.models.spec import MAX_BINS, NetworkSpec

DEGREES = 25.0  # the largest angle of Udacity's simulator, of which outputs are shares from -1 to 1
LIKELY = (3, 66, 200)  # PilotNet's
LARGE = 10.0  # what a first convolution gets of a picture that was scaled before it is less
STEERING = ("steer", "angle")
WEIGHING = (
    "conv",
    "linear",
    "addmm",
    "matmul",
    "mm",
)  # beginnings of operations; with these a network begins
ON_BATCH = 2  # pictures, so that sizes that depend on how many there are come out right


@dataclass(frozen=True)
class Output:
    """One of what a network puts out. numbers: how many for a picture, None where that is not known."""

    name: str
    numbers: int | None
    softmax: bool


def outputs_of(program: Program, size: Sequence[int], names: Sequence[str]) -> tuple[Output, ...]:
    """In the order of the program's. size: (C, H, W) of a picture."""
    made = {name: node for node in program.nodes for name in node.outputs}
    try:
        with torch.no_grad():
            batch = program.input_shape[0] or ON_BATCH
            values = program.to_meta(torch.empty((batch, *size), device="meta"))
        counts: list[int | None] = [max(1, v.numel() // batch) for v in values]
    except Exception:  # an operation whose sizes depend on numbers
        counts = [None] * len(program.outputs)
    return tuple(
        Output(name, count, _is_softmax(made, key))
        for name, count, key in zip(names, counts, program.outputs, strict=True)
    )


def _is_softmax(made: dict[str, Node], name: str) -> bool:
    node = made.get(name)
    for _ in range(4):  # it may be reshaped behind
        if node is None or "softmax" in node.kind:
            break
        refs = [v for v in node.arguments.values() if isinstance(v, Ref)]
        node = made.get(refs[0].name) if len(refs) == 1 else None
    return node is not None and "softmax" in node.kind


def scales_itself(program: Program, size: Sequence[int]) -> bool:
    """Whether what is put in front of the first layer with weights makes small numbers of 0 to 255."""
    nodes = []
    for node in program.nodes:
        if node.kind.startswith(WEIGHING):
            break
        nodes.append(node)
    else:
        return False
    weighed = [
        v.name for v in node.arguments.values() if isinstance(v, Ref) and v.name not in program.tensors
    ]
    if not nodes or not weighed:
        return False
    front = Program(nodes, program.tensors, program.input_name, program.input_shape, [weighed[0]])
    try:
        with torch.no_grad():
            white = front(torch.full((program.input_shape[0] or 1, *size), 255.0))
        return bool(white.abs().mean() < LARGE)
    except Exception:  # what a file that is damaged makes of it is said where it is run
        return False


def draft(name: str, sizes: Sequence[int | None]) -> NetworkSpec:
    """Something to begin with where not even the size is known: (channels, height, width), None for any."""
    channels, height, width = (known or likely for known, likely in zip(sizes, LIKELY, strict=True))
    return NetworkSpec(
        name, "", {}, height, width, channels, output_unit="deg", output_sign="right", output_scale=DEGREES
    )


def assume(
    name: str, program: Program, size: Sequence[int], outputs: Sequence[Output]
) -> tuple[NetworkSpec, str]:
    """A specification of what the file does not say, and sentences that say so. size: (C, H, W)."""
    steers = next((i for i, o in enumerate(outputs) if _steers(o.name)), 0)
    output = outputs[steers]
    count = output.numbers or 1
    shares = output.softmax and 2 < count <= MAX_BINS
    classes = shares and len(outputs) == 1 and not _steers(output.name)
    scales = scales_itself(program, size)
    spec = NetworkSpec(
        name=name,
        architecture="",
        arguments={},
        input_height=size[1],
        input_width=size[2],
        channels=size[0],
        std=1 / 255 if scales else 1.0,
        output_unit="deg",
        output_sign="right",
        output_scale=DEGREES,
        output_index=sum(o.numbers or 1 for o in outputs[:steers]),
    )
    if classes:
        spec = replace(spec, output="class", output_index=0)
    elif shares:
        spec = replace(spec, output_bins=tuple(2 * i / (count - 1) - 1 for i in range(count)))
    colour = "RGB" if spec.channels == 3 else "grey"
    values = "0 to 255, as the network scales them itself" if scales else "0 to 1"
    which = (
        f"output {output.name}"
        if len(outputs) > 1
        else "its output"
        if count == 1 or shares
        else "its first output"
    )
    which += f", {count} bins from -1 to 1," if spec.output_bins else ""
    meaning = (
        f"its output are {count} classes"
        if classes
        else f"{which} times {DEGREES:g} degrees to the right is the angle"
    )
    return spec, (
        f"{name} does not say how its pictures and its output are meant. Assumed: the whole picture in {colour}, from "
        f"{values}; {meaning}. Where that is wrong, say it in {name}.toml beside it, or by --spec FILE.toml."
    )


def _steers(name: str) -> bool:
    return any(word in name.lower() for word in STEERING)
