"""What is to be explained: which number, made of the network's output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from vbp.errors import ExplainError

if TYPE_CHECKING:  # which targets there are is asked for without torch, which takes seconds to load
    from torch import Tensor

KINDS = ("output", "negative", "magnitude", "error", "error-magnitude", "class")


@dataclass(frozen=True)
class Target:
    """A scalar s(y) of each frame's output y (N, outputs). With v = sign * y[:, index]:

    kind "output": v. "negative": -v. "magnitude": |v|. "error": driven - v, what is positive raises it.
    "error-magnitude": |driven - v|, what is positive makes the prediction worse. "class": v, with
    index None the largest output of each frame.

    index: the output, or the class; None is the first (of a class: the predicted one). sign: -1 where the output
    counts to the other side than what is explained (a network whose right is positive). driven: (N,) in the
    unit of v, NaN where it is not known; a single value counts for all frames.

    bins: what len(bins) outputs from `index` on stand for, which are scores; v is then sign times their mean, weighted by
    the softmax of the scores, or with `largest` the likeliest of them. What explains the likeliest is its score.
    """

    kind: str = "output"
    index: int | None = None
    sign: float = 1.0
    driven: Tensor | None = None
    bins: tuple[float, ...] = ()
    largest: bool = False

    def frame(self, n: int) -> Target:
        """The target of frame `n` of a batch alone."""
        if self.driven is None or self.driven.numel() == 1:
            return self
        return replace(self, driven=self.driven.reshape(-1)[n : n + 1])


TargetLike: TypeAlias = Target | int | str | None


def parse_target(text: str) -> Target:
    """ "output", "negative", "magnitude", "error", "error-magnitude", "class", each also with ":N" for output N.

    Raises ExplainError.
    """
    kind, colon, number = text.strip().partition(":")
    if kind not in KINDS or (colon and not number.isdecimal()):
        raise ExplainError(
            f"the target {text!r} is not known; accepted: {', '.join(KINDS)}, and :N after it for output N"
        )
    return Target(kind, int(number) if colon else None)


def as_target(target: TargetLike) -> Target:
    """A bare number is the output of that index; None is the first output; a text is as `parse_target` has it.

    Raises ExplainError for what is none of these.
    """
    if isinstance(target, str):
        return parse_target(target)
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | Target)):
        raise ExplainError(f"a target is the number of an output, a text or a Target, not {target!r}")
    return target if isinstance(target, Target) else Target("output", target)


def value(output: Tensor, target: TargetLike) -> Tensor:
    """s(y): (N,) of output (N, outputs). Raises ExplainError for an output that is not there."""
    chosen = as_target(target)
    v = chosen.sign * _reading(output, chosen)[0]
    if chosen.kind == "negative":
        return -v
    if chosen.kind == "magnitude":
        return v.abs()
    if chosen.kind == "error":
        return _driven(chosen, v) - v
    if chosen.kind == "error-magnitude":
        return (_driven(chosen, v) - v).abs()
    return v


def gradient(output: Tensor, target: TargetLike) -> Tensor:
    """ds/dy: (N, outputs), where every gradient method starts. Zero where the driven angle is not known.

    Raises ExplainError for an output that is not there, or an error without a driven angle.
    """
    chosen = as_target(target)
    read, by = _reading(output, chosen)
    v = chosen.sign * read
    if chosen.kind == "negative":
        slope = -v.new_ones(v.shape)
    elif chosen.kind == "magnitude":
        slope = v.sign()
    elif chosen.kind == "error":
        slope = -_driven(chosen, v).isfinite().to(v.dtype)
    elif chosen.kind == "error-magnitude":
        slope = (v - _driven(chosen, v)).nan_to_num(0.0).sign()
    else:
        slope = v.new_ones(v.shape)
    return by * (chosen.sign * slope)[:, None]


def _reading(output: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """What the outputs say, (N,), and how much each of them raises it, (N, outputs)."""
    index, by = index_of(output, target), output.new_zeros(output.shape)
    if not target.bins:
        return output.gather(1, index).squeeze(1), by.scatter_(1, index, 1.0)
    first = target.index or 0
    centres = output.new_tensor(target.bins)
    if target.largest:
        likeliest = centres[index.squeeze(1) - first]
        return likeliest, by.scatter_(1, index, (1.0 - 2.0 * (likeliest < 0).to(by.dtype))[:, None])
    shares = output[:, first : first + len(centres)].softmax(1)
    mean = (shares * centres).sum(1)
    by[:, first : first + len(centres)] = shares * (centres - mean[:, None])
    return mean, by


def relevance(output: Tensor, target: TargetLike) -> Tensor:
    """y * ds/dy: (N, outputs), what the output contributes to s, where every relevance method starts.

    For "output" it is y, for "negative" -y, for "magnitude" |y|. For the errors it is the prediction's part:
    the driven angle is no work of the network. Raises as `gradient`.
    """
    return output * gradient(output, target)


def index_of(output: Tensor, target: Target) -> Tensor:
    """Which output of each frame, (N, 1) int64; of bins the likeliest. Raises ExplainError for one that is not there."""
    import torch

    n, outputs = output.shape
    if target.bins:
        first, last = target.index or 0, (target.index or 0) + len(target.bins)
        if last > outputs:
            raise ExplainError(
                f"there are no {len(target.bins)} bins from output {first} on: the network has {outputs} outputs"
            )
        return first + output[:, first:last].argmax(1, keepdim=True)
    if target.index is None:
        if target.kind == "class" and outputs > 1:
            return output.argmax(1, keepdim=True)
        return torch.zeros((n, 1), dtype=torch.int64, device=output.device)
    if not 0 <= target.index < outputs:
        known = "one output, 0" if outputs == 1 else f"{outputs} outputs, 0 to {outputs - 1}"
        raise ExplainError(f"there is no output {target.index}: the network has {known}")
    return torch.full((n, 1), target.index, dtype=torch.int64, device=output.device)


def _driven(target: Target, v: Tensor) -> Tensor:
    if target.driven is None:
        raise ExplainError("the error needs the angle that was driven, and none is known here")
    driven = target.driven.to(v.device, v.dtype).reshape(-1)
    if driven.numel() not in (1, v.numel()):
        raise ExplainError(f"{driven.numel()} driven angles were given for {v.numel()} frames")
    return driven.expand(v.numel())
