"""The picture of one frame as it is exported: panels, numbers and plot on a dark ground."""

from __future__ import annotations

import math
from bisect import bisect_right

import cv2
import numpy as np

from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.explain.registry import METHODS
from vbp.export.facts import Facts, check_settings, title_of
from vbp.export.frames import map_of
from vbp.export.job import Settings
from vbp.export.layouts import Places, place
from vbp.export.lettering import BOLD, MEDIUM, Lettering
from vbp.export.plot import AnglePlot
from vbp.export.scale import draw_scale
from vbp.export.tiles import layers_aspect, layers_tile
from vbp.export.wheel import draw_wheel
from vbp.frames.smoothing import Smoother, smoothed_words
from vbp.frames.strengths import weights
from vbp.overlay import Rect, grey_to_rgb, lay
from vbp.palette import DRIVEN, ERROR, GAP, MUTED, PANEL, PREDICTED, TEXT, WARNING, WINDOW, rgb
from vbp.readable import UNKNOWN, clock, how_long, shown_error, signed
from vbp.results import VBP, FrameResult, Map

SAID_S = 2.0  # seconds for which a clip says that a hole was jumped


class Composer:
    """`draw(frame)` -> uint8 RGB (H, W, 3), always of the same, even size. Belongs to one thread."""

    def __init__(self, facts: Facts, settings: Settings) -> None:
        check_settings(settings)
        self.facts, self.settings = facts, settings
        self.lettering = Lettering()
        self.tiles = tuple(p for p in settings.panels if p != "plot")
        if settings.layout == "picture":
            self.tiles = self.tiles[:1]
            if not self.tiles:
                raise VbpError("the layout picture needs a panel with a picture, such as camera")
        with_plot = "plot" in settings.panels
        aspects = [self._aspect(p) for p in self.tiles]
        own = facts.input_size if self.tiles and self.tiles[0] in METHODS else facts.frame_size
        self.places: Places = place(settings.layout, settings.size, aspects, with_plot, own)
        self._plot: AnglePlot | None = None
        if self.places.plot is not None:
            self._plot = AnglePlot(self.places.plot, self.places.unit, facts, self.lettering)
        self._holes = list(facts.holes)
        self._number = {int(i): n for n, i in enumerate(facts.indices)}
        self._smoothers = {panel: Smoother() for panel in self.tiles}
        self._ground = self._make_ground()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.places.width, self.places.height

    def _aspect(self, panel: str) -> float:
        f = self.facts
        if panel in ("camera", "plain"):
            return f.frame_size[0] / f.frame_size[1]
        aspect = f.input_size[0] / f.input_size[1]
        return layers_aspect(f.layers, aspect) if panel == "maps" else aspect

    def px(self, units: float) -> int:
        return max(1, round(units * self.places.unit))

    def _make_ground(self) -> Image:
        """All that does not change from frame to frame."""
        p, px, text = self.places, self.px, self.lettering
        ground: Image = np.empty((p.height, p.width, 3), dtype=np.uint8)
        ground[:] = rgb(WINDOW)
        if p.header is not None:
            h = p.header
            base, clock_room = h.y + px(26), px(250)
            x = h.x + text.draw(
                ground, self.facts.model, h.x, base, px(20), rgb(TEXT), BOLD, room=h.width // 2
            )
            room = h.x + h.width - clock_room - x - px(16)
            if room > px(60):
                text.draw(ground, self.facts.drive, x + px(16), base, px(16), rgb(MUTED), room=room)
            for panel, tile in zip(self.tiles, p.tiles, strict=True):
                title = title_of(panel, self.settings, self.facts.of_classes)
                text.draw(ground, title, tile.x, tile.y - px(8), px(14), rgb(MUTED), room=tile.width)
        for tile in p.tiles:
            _part(ground, tile)[:] = rgb(PANEL)
        if p.header is not None:
            _part(ground, p.readout)[:] = rgb(PANEL)
        return ground

    def set_predicted(self, index: int, value: float) -> None:
        """For the plot: of a frame of the drive that is among those exported, as `FrameResult.plotted`."""
        if self._plot is not None:
            self._plot.set_predicted(self._number[index], value)

    def look(self, frame: FrameResult) -> None:
        """At a frame that is not drawn, but whose masks count in those after it."""
        for panel in self.tiles:
            self._mask(panel, frame)

    def _mask(self, panel: str, frame: FrameResult) -> tuple[Map | None, int]:
        """What a panel lays over its picture, and of how many frames that is the mean."""
        settings, smoother, result = self.settings, self._smoothers[panel], frame.result
        shows = map_of(settings, panel)
        mask = result.maps.get(shows) if shows is not None and result is not None else None
        if settings.overlay.smooth == 1 or panel == "maps":
            return mask, int(mask is not None)
        if frame.image is None or result is None:
            smoother.forget()
            return None, 0
        picture = frame.image if panel == "camera" else result.input
        smoother.add(frame.index, frame.timestamp_ns, picture, mask, frame.strength)
        return smoother.mask(settings.overlay)

    def draw(self, frame: FrameResult, future: bool = False) -> Image:
        """The plot shows what was predicted up to this frame; `future`: also what is known beyond it."""
        image = self._ground.copy()
        for panel, tile in zip(self.tiles, self.places.tiles, strict=True):
            self._tile(image, panel, tile, frame)
        self._hole(image, self._number[frame.index])
        inset = self.places.header is None
        if self._plot is not None:
            n = self._number[frame.index]
            self.set_predicted(frame.index, frame.plotted)
            before = _part(image, self._plot.rect).copy() if inset else None
            self._plot.draw(image, n, future)
            if before is not None:
                _veil(image, self._plot.rect, before)
        if inset:
            before = _part(image, self.places.readout).copy()
            _part(image, self.places.readout)[:] = rgb(PANEL)
            _veil(image, self.places.readout, before)
            self._readout_inset(image, frame)
        else:
            self._header(image, frame)
            self._readout(image, frame)
        return image

    # The pictures.

    def _tile(self, image: Image, panel: str, tile: Rect, frame: FrameResult) -> None:
        s, result = self.settings, frame.result
        mask, number = self._mask(panel, frame)
        if frame.image is None or result is None:
            self._gap(image, tile, frame)
            return
        shows = map_of(s, panel)
        missing = result.missing.get(shows, "") if shows is not None else ""
        if panel == "maps":
            layers_tile(image, tile, result.layers, self.lettering, self.places.unit)
            self._band(image, tile, missing)
            self._edited(image, tile, frame.edits.words)
            return
        if panel == "plain":
            _paste(image, tile, frame.image if frame.recorded is None else frame.recorded)
            return
        weighed = weights(frame.strength, self.facts.usual, s.overlay, panel in ("camera", VBP))
        if panel == "camera":
            shown = lay(frame.image, mask, result.crop, s.overlay, *weighed)
            _paste(image, tile, shown)
            self._outline(image, tile, result.crop, frame.image.shape[1], frame.image.shape[0])
        else:
            _paste(image, tile, lay(grey_to_rgb(result.input), mask, None, s.overlay, *weighed))
        usual = self.facts.usual
        spread = frame.spread if panel in ("camera", VBP) else math.nan  # of another map, it is another
        weak = usual.words(frame.strength, spread) if usual is not None else ""
        self._band(image, tile, missing or next(iter(result.warnings), weak))
        if mask is not None and s.overlay.shown:
            draw_scale(image, tile, panel, smoothed_words(number), self)
        self._edited(image, tile, frame.edits.words)

    def _edited(self, image: Image, tile: Rect, words: str) -> None:
        """That the picture is not the recorded one, over its upper edge."""
        if words:
            px = self.px
            band = Rect(tile.x, tile.y, tile.width, min(px(26), tile.height))
            _part(image, band)[:] = _part(image, band) // 4
            room = tile.width - px(16)
            self.lettering.draw(
                image, words, tile.x + px(8), tile.y + px(18), px(14), rgb(WARNING), MEDIUM, room=room
            )

    def _band(self, image: Image, tile: Rect, warning: str) -> None:
        """Words over the lower edge of a picture; none where there is nothing to warn of."""
        if not warning:
            return
        px = self.px
        base = tile.y + tile.height - px(9)
        band = Rect(tile.x, tile.y + tile.height - px(26), tile.width, px(26))
        _part(image, band)[:] = _part(image, band) // 4
        self.lettering.draw(
            image, warning, tile.x + px(8), base, px(14), rgb(WARNING), room=tile.width - px(16)
        )

    def _outline(self, image: Image, tile: Rect, crop: Rect, width: int, height: int) -> None:
        if (crop.width, crop.height) == (width, height):
            return
        sx, sy = tile.width / width, tile.height / height
        x0, y0 = tile.x + round(crop.x * sx), tile.y + round(crop.y * sy)
        x1, y1 = (
            tile.x + round((crop.x + crop.width) * sx) - 1,
            tile.y + round((crop.y + crop.height) * sy) - 1,
        )
        cv2.rectangle(image, (x0, y0), (x1, y1), rgb(MUTED), 1)

    def _gap(self, image: Image, tile: Rect, frame: FrameResult) -> None:
        px = self.px
        _part(image, tile)[:] = rgb(GAP)
        x, y = tile.x + tile.width // 2, tile.y + tile.height // 2
        room = tile.width - px(16)
        self.lettering.draw(image, "no picture", x, y, px(18), rgb(TEXT), MEDIUM, "centre", room)
        if tile.height > px(70):
            self.lettering.draw(image, frame.gap, x, y + px(24), px(13), rgb(TEXT), align="centre", room=room)

    def _hole(self, image: Image, n: int) -> None:
        """That time was jumped, for a while from the frame after a hole on. n: of those exported."""
        facts, at = self.facts, bisect_right(self._holes, n)
        after = self._holes[at - 1] if at else n
        if not at or not self.tiles or (after < n and facts.played_s[n] - facts.played_s[after] >= SAID_S):
            return
        px, text, tile = self.px, f"{how_long(facts.holes[after])} later", self.places.tiles[0]
        width = min(tile.width, self.lettering.width(text, px(14)) + px(16))
        box = Rect(tile.x, max(tile.y, tile.y + tile.height - px(54)), width, min(px(26), tile.height))
        _part(image, box)[:] = _part(image, box) // 4
        base = box.y + box.height - px(9)
        self.lettering.draw(image, text, box.x + px(8), base, px(14), rgb(TEXT), room=width - px(12))

    # The numbers.

    def _header(self, image: Image, frame: FrameResult) -> None:
        h, px, text = self.places.header, self.px, self.lettering
        assert h is not None
        base, right = h.y + px(26), h.x + h.width
        seconds = (frame.timestamp_ns - self.facts.start_ns) / 1e9
        text.draw(image, clock(seconds), right, base, px(20), rgb(TEXT), MEDIUM, "right")
        label = f"frame {frame.index:{self.facts.width_of_index}d}"
        longest = clock((int(self.facts.timestamps_ns[-1]) - self.facts.start_ns) / 1e9)
        left = right - text.width(longest, px(20), MEDIUM) - px(18)
        text.draw(image, label, left, base, px(16), rgb(MUTED), align="right")

    def _rows(self, frame: FrameResult) -> list[tuple[str, str, str, str]]:
        """(name, number, unit, colour)"""
        if self.facts.of_classes:
            classes = frame.result.classes if frame.result is not None else None
            percent = f"{100 * classes.probability:.1f}" if classes is not None else UNKNOWN
            rows = [
                ("class", classes.name if classes is not None else UNKNOWN, "", TEXT),
                ("probability", percent, " %", PREDICTED),
            ]
            if classes is not None and classes.label >= 0:
                right = classes.label == classes.number
                rows.append(
                    (
                        "true class",
                        "the same" if right else classes.label_name,
                        "",
                        DRIVEN if right else ERROR,
                    )
                )
            return rows
        driven, predicted = math.degrees(frame.driven_rad), math.degrees(frame.predicted_rad)
        rows = [
            ("driven", signed(driven), "°", DRIVEN),
            ("predicted", signed(predicted), "°", PREDICTED),
            ("error", signed(shown_error(driven, predicted)), "°", ERROR),
        ]
        if math.isfinite(frame.speed_mps):
            rows.append(("speed", f"{frame.speed_mps:.1f}", " m/s", TEXT))
        return rows

    def _words(self, image: Image, area: Rect, rows: list[tuple[str, str, str, str]]) -> None:
        """Rows of a name and words that begin below each other; beside each other where the area is low."""
        px, text = self.px, self.lettering
        flat = area.height < px(66)
        names = max(text.width(name, px(14)) for name, _, _, _ in rows) + px(10)
        pitch = area.width // len(rows) if flat else min(px(30), area.height // max(3, len(rows)))
        for n, (name, words, unit, colour) in enumerate(rows):
            x = area.x + px(12) + (n * pitch if flat else 0)
            base = area.y + (area.height // 2 + px(6) if flat else round(pitch * (n + 0.7)))
            end = area.x + (n + 1) * pitch if flat else area.x + area.width
            wide = text.width(name, px(14)) + px(10) if flat else names
            text.draw(image, name, x, base, px(14), rgb(MUTED))
            text.draw(
                image, words + unit, x + wide, base, px(17), rgb(colour), MEDIUM, room=end - x - wide - px(6)
            )

    def _readout(self, image: Image, frame: FrameResult) -> None:
        if self.facts.of_classes:
            self._words(image, self.places.readout, self._rows(frame))
            return
        r, px, text = self.places.readout, self.px, self.lettering
        rows = self._rows(frame)
        unit_width = text.width(" m/s", px(14))
        if r.height < px(90):  # a line of numbers
            width = r.width // len(rows)
            base = r.y + r.height // 2 + px(7)
            for n, (name, number, unit, colour) in enumerate(rows):
                x = r.x + n * width + px(12)
                self._dot(image, x + px(4), base - px(6), colour)
                x += px(16)
                text.draw(image, name, x, base, px(14), rgb(MUTED))
                end = x + text.width("predicted", px(14)) + px(8) + text.width("+000.0", px(20), MEDIUM)
                text.draw(image, number, end, base, px(20), rgb(colour), MEDIUM, "right")
                text.draw(image, unit, end, base, px(14), rgb(MUTED))
            return
        pitch = min(px(30), (r.height - px(12)) // len(rows))
        size = min(px(22), round(pitch * 0.78))
        top = r.y + (r.height - pitch * len(rows)) // 2
        numbers_end = r.x + min(r.width, px(236)) - unit_width - px(8)
        tall = r.height > 1.2 * r.width
        if tall:
            top = r.y + px(16)
        for n, (name, number, unit, colour) in enumerate(rows):
            base = top + round(pitch * (n + 0.76))
            self._dot(image, r.x + px(20), base - round(0.3 * size), colour)
            text.draw(image, name, r.x + px(32), base, min(px(15), size), rgb(MUTED))
            text.draw(image, number, numbers_end, base, size, rgb(colour), MEDIUM, "right")
            text.draw(image, unit, numbers_end, base, min(px(15), size), rgb(MUTED))
        left, above = (r.x, top + pitch * len(rows)) if tall else (numbers_end + unit_width, r.y)
        width, height = r.x + r.width - left, r.y + r.height - above
        if min(width, height) >= px(84):
            radius = min((min(width, height) - px(36)) // 2, px(90))
            draw_wheel(
                image, (left + width // 2, above + height // 2), radius, frame.driven_rad, frame.predicted_rad
            )

    def _dot(self, image: Image, x: int, y: int, colour: str) -> None:
        """The colour of a line in the plot."""
        radius = round(4.2 * self.places.unit * 16)
        cv2.circle(image, (x * 16, y * 16), radius, rgb(colour), -1, cv2.LINE_AA, 4)

    def _readout_inset(self, image: Image, frame: FrameResult) -> None:
        r, px, text = self.places.readout, self.px, self.lettering
        rows = self._rows(frame)[:3]
        if self.facts.of_classes:
            self._words(image, Rect(r.x, r.y, r.width, r.height - px(24)), rows)
            rows = []
        end = r.x + r.width - px(20)
        for n, (name, number, unit, colour) in enumerate(rows):
            base = r.y + px(24) + n * px(24)
            self._dot(image, r.x + px(15), base - px(5), colour)
            text.draw(image, name, r.x + px(25), base, px(14), rgb(TEXT))
            text.draw(image, number, end, base, px(19), rgb(colour), MEDIUM, "right")
            text.draw(image, unit, end, base, px(14), rgb(TEXT))
        base = r.y + r.height - px(10)
        seconds = (frame.timestamp_ns - self.facts.start_ns) / 1e9
        label = f"{clock(seconds)}   frame {frame.index:{self.facts.width_of_index}d}"
        room = r.width - px(24)
        text.draw(image, f"{label}   {self.facts.model}", r.x + px(12), base, px(11), rgb(TEXT), room=room)


def _part(image: Image, rect: Rect) -> Image:
    return image[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]


def _veil(image: Image, rect: Rect, before: Image) -> None:
    """Let what was there show through a little."""
    _part(image, rect)[:] = cv2.addWeighted(_part(image, rect), 0.78, before, 0.22, 0)


def _paste(image: Image, tile: Rect, shown: Image) -> None:
    size = (tile.width, tile.height)
    if (shown.shape[1], shown.shape[0]) != size:
        shrinks = tile.width < shown.shape[1]
        mode = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        shown = np.asarray(cv2.resize(shown, size, interpolation=mode), dtype=np.uint8)
    _part(image, tile)[:] = shown
