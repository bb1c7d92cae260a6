"""Which of the tensors in a file are a network's: found by name and shape, under whatever name they lie together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from vbp.errors import ModelError
from vbp.models.torch_file import Stored

Shapes = Mapping[str, tuple[int, ...]]
Found = dict[str, str]  # the file's name for each of the network's

# What DataParallel, torch.compile and others put between the names of a network's parts.
BETWEEN = frozenset(("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
COUNTER = "num_batches_tracked"  # which no network needs
OUTERMOST = "."  # what is asked for by this name lies in no table


def places(names: Iterable[str], wanted: Iterable[str]) -> dict[str, Found]:
    """For each name under which some of the network's tensors lie together ("state_dict.model", or ""): which."""
    short = {".".join(_bare(name.split("."))): name for name in wanted}
    found: dict[str, Found] = {}
    for name in names:
        parts, end = name.split("."), ""
        for i in range(len(parts) - 1, -1, -1):
            if parts[i] not in BETWEEN:
                end = f"{parts[i]}.{end}" if end else parts[i]
                if end in short:
                    found.setdefault(".".join(parts[:i]), {})[short[end]] = name
    return found


def chosen(
    tensors: Mapping[str, Stored], wanted: Shapes, which: str, path: Path, who: str
) -> dict[str, tuple[str, Stored]]:
    """For each of the network's names the file's, and the tensor.

    which: the name under which they lie, where several sets fit. path, who: the file and the network, for people.
    Raises ModelError that names what is missing, what has another shape, or what could be meant.
    """
    if not tensors:
        raise ModelError(f"{path} holds no state dict: a table of tensors by name is wanted")
    begins = _begin(wanted)
    for depth in range(len(begins) + 1):  # of a network that is wrapped, and its weights are not
        start = "".join(f"{part}." for part in begins[:depth])
        inner = {name.removeprefix(start): shape for name, shape in wanted.items()}
        all_places = places(tensors, inner)
        whole = {p: found for p, found in all_places.items() if _is_whole(tensors, inner, found)}
        clean = {p: found for p, found in whole.items() if not _beyond(tensors, inner, p, found)}
        if clean:
            found = clean[_one(tensors, clean, which, path, who)]
            return {start + name: (theirs, tensors[theirs]) for name, theirs in found.items()}
        if depth == 0:
            refusal = _refusal(tensors, inner, all_places)
    raise ModelError(f"{path} does not fit {who}: {refusal}")


def _is_whole(tensors: Mapping[str, Stored], wanted: Shapes, found: Found) -> bool:
    return all(
        name.endswith(COUNTER) or (name in found and tensors[found[name]].shape == shape)
        for name, shape in wanted.items()
    )


def _beyond(tensors: Iterable[str], wanted: Shapes, place: str, found: Found) -> list[str]:
    """What lies among the network's tensors and is none of them: part of a layer, or of a row of layers, that it has."""
    start = f"{place}." if place else ""
    used, depth = set(found.values()), len(_begin(wanted))
    tops = {_bare(name.split("."))[depth] for name in wanted}
    rows = all(top.isdigit() for top in tops)
    extra = []
    for name in tensors:
        if name in used or not name.startswith(start) or name.endswith(COUNTER):
            continue
        parts = _bare(name[len(start) :].split("."))
        if len(parts) > depth and (parts[depth] in tops or (rows and parts[depth].isdigit())):
            extra.append(name)
    return extra


def _one(tensors: Mapping[str, Stored], fit: dict[str, Found], which: str, path: Path, who: str) -> str:
    """The place that is meant. Raises ModelError where it has to be said."""
    meant = [p for p in fit if not which or f".{which}." in f".{p}." or (which == OUTERMOST and not p)]
    if not meant:
        raise ModelError(
            f"{path} holds nothing called {which[:60]} that fits {who}; what fits: {_and(list(fit))}"
        )
    different = [meant[0]]
    for place in meant[1:]:
        if not any(_same(tensors, fit[place], fit[other]) for other in different):
            different.append(place)
    if len(different) > 1:
        raise ModelError(
            f"{path} holds {len(different)} sets of weights that fit {who}, {_and(different)}: say which behind the file's "
            f"name, as --weights {path.name}#{different[0] or OUTERMOST}"
        )
    return different[0]


def _same(tensors: Mapping[str, Stored], one: Found, other: Found) -> bool:
    return all(torch.equal(tensors[one[k]].read(), tensors[other[k]].read()) for k in one if k in other)


def _refusal(tensors: Mapping[str, Stored], wanted: Shapes, found_at: dict[str, Found]) -> str:
    """What the set of tensors that fits best has not, or has and should not."""
    if not found_at:
        return f"it holds {_three(list(tensors))}, and {_three(list(wanted))} of the network are in it by no name"

    def fitting(place: str) -> tuple[int, int]:
        found = found_at[place]
        return sum(tensors[theirs].shape == wanted[name] for name, theirs in found.items()), len(found)

    best = max(found_at, key=fitting)
    found = found_at[best]
    missing = [
        f"{name} of {_size(shape)}"
        for name, shape in wanted.items()
        if name not in found and not name.endswith(COUNTER)
    ]
    misfits = [
        f"{name} is {_size(tensors[theirs].shape)}, and {_size(wanted[name])} is expected"
        for name, theirs in found.items()
        if tensors[theirs].shape != wanted[name] and not name.endswith(COUNTER)
    ]
    beyond = _beyond(tensors, wanted, best, found)
    parts = [f"it lacks {_three(missing)}"] * bool(missing) + misfits[:2]
    parts += [f"it has {_three(beyond)}, which the network has not"] * bool(beyond)
    return "; ".join(parts) + (f" (of what it holds, {best} fits best)" if best and len(found_at) > 1 else "")


def left_out(tensors: Iterable[str], used: set[str], path: Path) -> str:
    """A sentence on the tensors of the file that are not the network's, "" where there are none."""
    first = next(iter(used)).split(".")
    groups: Counter[str] = Counter()
    for name in tensors:
        if name not in used and not name.endswith(COUNTER):
            parts = name.split(".")
            same = next((i for i, (a, b) in enumerate(zip(parts, first, strict=False)) if a != b), 0)
            groups[".".join(parts[: same + 1])] += 1
    if not groups:
        return ""
    said = [f"{name} ({count} tensor{'s' * (count > 1)})" for name, count in groups.items()]
    return f"{path.name} holds more than this network's weights, which is left out: {_three(said)}"


def _bare(parts: list[str]) -> list[str]:
    return [part for part in parts if part not in BETWEEN] or parts


def _begin(names: Iterable[str]) -> list[str]:
    """The parts that all names begin with; the last part of a name is never among them."""
    begins: list[str] = []
    for parts in zip(*(_bare(name.split("."))[:-1] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        begins.append(parts[0])
    return begins


def _and(found: list[str]) -> str:
    names = [place or f'"{OUTERMOST}" (the outermost)' for place in found]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _three(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(name[:120] for name in names[:3]) + more


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
