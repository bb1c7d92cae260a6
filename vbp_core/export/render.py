"""The pictures of a clip one after the other, each as often as the clip shows it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.drives.holes import played_ns
from vbp.export.compose import Composer
from vbp.export.facts import facts_of
from vbp.export.frames import Source, open_source, with_those_before
from vbp.export.job import Job, Part
from vbp.export.timeline import Timeline, at_most, delayed, joined, timeline
from vbp.export.titles import CARD_S, title_card
from vbp.results import FrameResult


@dataclass(frozen=True)
class _Section:
    """A part of a clip. indices: (N,) of the drive, one for each picture; cards: how many of its title come before."""

    indices: NDArray[np.int64]
    title: tuple[str, ...]
    cards: int


class Clip:
    """A job's drive, network, composer and timeline, ready to be drawn; of a reel, its parts one after the other."""

    def __init__(self, source: Source, repeats: bool) -> None:
        job = source.job
        self.source, self._repeats = source, repeats
        made = [self._section(p) for p in job.parts or (Part(job.first, job.last),)]
        self._sections = [section for section, _ in made]
        self.timeline = joined([line for _, line in made])
        self.composer = self._composer(self._sections[0])

    def _section(self, part: Part) -> tuple[_Section, Timeline]:
        settings, frames = self.source.job.settings, np.arange(part.first, part.last + 1)
        times = played_ns(self.source.drive.timestamps_ns)[frames]
        line = (timeline if self._repeats else at_most)(times, settings.fps)
        cards = 0
        if part.title:  # repeated, as players do not agree on a picture that stays for seconds
            cards = max(1, round(CARD_S * line.rate)) if self._repeats else 1
        return _Section(frames[line.picks], part.title, cards), delayed(line, cards, CARD_S)

    def _composer(self, section: _Section) -> Composer:
        source = self.source
        facts = facts_of(source.drive, source.engine, np.unique(section.indices), source.layers, source.usual)
        return Composer(facts, source.job.settings)

    def pictures(self) -> Generator[tuple[int, FrameResult, Image], None, None]:
        """(position in the timeline, the frame, uint8 RGB (H, W, 3)); a frame shown twice comes twice, drawn once."""
        shown = [np.unique(section.indices, return_counts=True) for section in self._sections]
        at = 0
        settings = self.source.job.settings
        needed = [np.asarray(with_those_before(frames, settings)) for frames, _ in shown]
        with closing(self.source.frames(np.concatenate(needed))) as frames:
            for section, (numbers, counts), read in zip(self._sections, shown, needed, strict=True):
                composer = self.composer if section is self._sections[0] else self._composer(section)
                wanted = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
                before = section.cards
                for _ in range(len(read)):
                    frame = next(frames)
                    if frame.index not in wanted:
                        composer.look(frame)
                        continue
                    picture = composer.draw(frame)
                    if before:
                        card = title_card(picture, section.title, composer.places.unit)
                    for n in range(before + wanted[frame.index]):
                        yield at, frame, card if n < before else picture
                        at += 1
                    before = 0


@contextmanager
def open_clip(job: Job, repeats: bool = True) -> Iterator[Clip]:
    """repeats: a picture comes as often as a fixed rate shows it. Raises VbpError, before anything is written, for what
    cannot be drawn."""
    with open_source(job) as source:
        yield Clip(source, repeats)
