"""Where things stand in an exported picture: rectangles by layout, worked out once for a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbp.overlay import Rect

SIZES = {
    "stage": (1280, 720),
    "row": (1920, 720),
    "column": (720, 1280),
    "grid": (1280, 720),
}
READOUT_WIDTH = 300
READOUT_HEIGHT = 134  # so that a picture of 640x480 keeps its pixels in one of 1280x720
WIDEST = 2.0  # width / height that counts in a row
READABLE = 600  # rows; of a lower picture the inset could not be read


@dataclass(frozen=True)
class Places:
    """Rectangles in the picture's pixels. tiles: a picture each, in the order asked. None: not shown."""

    width: int
    height: int
    unit: float  # pixels to one of a picture 720 high: what letters and lines are scaled by
    header: Rect | None
    tiles: tuple[Rect, ...]
    readout: Rect
    plot: Rect | None


def place(
    layout: str, size: tuple[int, int] | None, aspects: Sequence[float], plot: bool, first: tuple[int, int]
) -> Places:
    """Places for pictures of these `aspects` (width / height). first: the first picture's own size in pixels.

    Sizes are even, as video needs them.
    """
    if layout == "picture":
        return _picture(size or _own_size(first), aspects, plot)
    width, height = even(size or SIZES[layout])
    unit = min(width / 1280, height / 720) if layout != "column" else min(width / 720, height / 1100)
    margin, gap = round(20 * unit), round(14 * unit)
    title = round(24 * unit)
    header = Rect(margin, round(8 * unit), width - 2 * margin, round(36 * unit))
    top = header.y + header.height + round(4 * unit)
    strip = round(READOUT_HEIGHT * unit)
    inner = width - 2 * margin
    floor = height - margin
    body = Rect(margin, top, inner, floor - top - strip - gap)
    bottom = Rect(margin, floor - strip, inner, strip)
    read_width = min(round(READOUT_WIDTH * unit), inner)
    free: Rect | None = None
    if layout == "stage":
        tiles, free = _stage(body, aspects, gap, title, (read_width, strip))
    else:
        arrange = {"row": _line, "column": _stack, "grid": _grid}[layout]
        tiles = arrange(body, aspects, gap, title) if aspects else ()
    if free is not None and plot:
        return Places(width, height, unit, header, tiles, free, bottom)
    if layout == "column" or not tiles:  # what the pictures leave free is the plot's
        end = max((t.y + t.height + gap for t in tiles), default=top)
        bottom = Rect(margin, end, inner, floor - end)
    if not plot:
        return Places(width, height, unit, header, tiles, bottom, None)
    if bottom.height > 2 * strip + gap:  # below each other
        below = Rect(bottom.x, bottom.y + strip + gap, inner, bottom.height - strip - gap)
        return Places(width, height, unit, header, tiles, Rect(bottom.x, bottom.y, inner, strip), below)
    readout = Rect(bottom.x, bottom.y, read_width, bottom.height)
    beside = Rect(bottom.x + read_width + gap, bottom.y, inner - read_width - gap, bottom.height)
    return Places(width, height, unit, header, tiles, readout, beside)


def even(size: tuple[int, int]) -> tuple[int, int]:
    """Both sides rounded down to even numbers, as H.264 with half the colours needs them; at least 2."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def _own_size(first: tuple[int, int]) -> tuple[int, int]:
    """The picture's own size, rounded up to even; low ones are enlarged, so that the letters can be read."""
    factor = max(1, -(-READABLE // max(1, first[1])))
    return even((first[0] * factor + 1, first[1] * factor + 1))


def _picture(size: tuple[int, int], aspects: Sequence[float], plot: bool) -> Places:
    width, height = even(size)
    unit = min(width / 960, height / 720)
    margin = round(12 * unit)
    tiles = (fit(Rect(0, 0, width, height), aspects[0]),) if aspects else ()
    readout = Rect(margin, margin, round(190 * unit), round(104 * unit))
    if not plot:
        return Places(width, height, unit, None, tiles, readout, None)
    left = readout.x + readout.width + margin
    inset = Rect(left, margin, width - margin - left, readout.height)
    return Places(width, height, unit, None, tiles, readout, inset)


def fit(room: Rect, aspect: float) -> Rect:
    """The largest rectangle of this aspect inside `room`, in its middle."""
    width = min(room.width, round(room.height * aspect))
    height = min(room.height, round(width / aspect))
    width, height = max(1, width), max(1, height)
    return Rect(room.x + (room.width - width) // 2, room.y + (room.height - height) // 2, width, height)


def _under_title(room: Rect, aspect: float, title: int) -> Rect:
    """The largest picture in `room` below a title line, at its top, in the middle."""
    inside = Rect(room.x, room.y + title, room.width, max(1, room.height - title))
    found = fit(inside, aspect)
    return Rect(found.x, inside.y, found.width, found.height)


def _stage(
    body: Rect, aspects: Sequence[float], gap: int, title: int, least: tuple[int, int]
) -> tuple[tuple[Rect, ...], Rect | None]:
    """One large, the others in columns beside it; and what they leave free, if that is at least `least`."""
    if not aspects:
        return (), None
    best: tuple[float, tuple[Rect, ...], Rect] | None = None
    for percent in range(35, 81):
        share = Rect(body.x, body.y, body.width * percent // 100, body.height)
        first = _under_title(share, aspects[0], title)
        first = Rect(body.x, first.y, first.width, first.height)
        left = first.x + first.width + gap
        beside = Rect(left, body.y, body.x + body.width - left, body.height)
        others = _grid(beside, aspects[1:], gap, title, centred=False)
        area = first.width * first.height + 0.5 * sum(r.width * r.height for r in others)
        if best is None or area > best[0]:
            best = (area, (first, *others), beside)
    assert best is not None
    _, tiles, beside = best
    bottom = beside.y + beside.height
    end = max((t.y + t.height + gap for t in tiles[1:]), default=beside.y + title)
    right = max((t.x + t.width + gap for t in tiles[1:]), default=beside.x)
    below = Rect(beside.x, end, beside.width, bottom - end)
    aside = Rect(right, beside.y + title, beside.x + beside.width - right, beside.height - title)
    for free in (below, aside):
        if free.width >= 0.75 * least[0] and free.height >= least[1]:
            return tiles, free
    return tiles, None


def _stack(room: Rect, aspects: Sequence[float], gap: int, title: int) -> tuple[Rect, ...]:
    """Below each other, all of one width."""
    usable = room.height - len(aspects) * title - (len(aspects) - 1) * gap
    width = min(room.width, int(max(1, usable) / max(1e-9, sum(1 / a for a in aspects))))
    x = room.x + (room.width - width) // 2
    tiles, y = [], room.y
    for aspect in aspects:
        height = max(1, round(width / aspect))
        tiles.append(Rect(x, y + title, max(1, width), height))
        y += title + height + gap
    return tuple(tiles)


def _line(room: Rect, aspects: Sequence[float], gap: int, title: int) -> tuple[Rect, ...]:
    """Side by side, of one height but for wide strips, which would leave the others no width."""
    if not aspects:
        return ()
    shares = [min(a, WIDEST) for a in aspects]
    usable = room.width - (len(aspects) - 1) * gap
    height = min(room.height - title, usable / sum(shares))
    taken = sum(int(height * s) for s in shares) + (len(aspects) - 1) * gap
    tiles, x = [], room.x + (room.width - taken) // 2
    for aspect, share in zip(aspects, shares, strict=True):
        width = max(1, int(height * share))
        tiles.append(Rect(x, room.y + title, width, max(1, round(width / aspect))))
        x += width + gap
    return tuple(tiles)


def _grid(
    room: Rect, aspects: Sequence[float], gap: int, title: int, centred: bool = True
) -> tuple[Rect, ...]:
    """As many columns as make the pictures largest; all are of one width, each row as high as its highest."""
    best: tuple[int, tuple[Rect, ...]] = (-1, ())
    for columns in range(1, len(aspects) + 1):
        rows = [aspects[n : n + columns] for n in range(0, len(aspects), columns)]
        usable = room.height - len(rows) * title - (len(rows) - 1) * gap
        width = (room.width - (columns - 1) * gap) // columns
        width = max(1, min(width, int(max(1, usable) / sum(1 / min(row) for row in rows))))
        left = room.x + (room.width - columns * width - (columns - 1) * gap) // 2 * centred
        tiles, y = [], room.y
        for row in rows:
            for n, aspect in enumerate(row):
                x = left + n * (width + gap)
                tiles.append(Rect(x, y + title, width, max(1, round(width / aspect))))
            y += title + round(width / min(row)) + gap
        area = sum(r.width * r.height for r in tiles)
        if area > best[0]:
            best = (area, tuple(tiles))
    return best[1]
