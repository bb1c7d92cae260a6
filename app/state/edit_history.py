"""What was done to the picture, with the way back."""

from __future__ import annotations

from dataclasses import replace

from vbp.edits.edit import ADJUSTMENTS, NONE, Adjust, Box, Edit, Edits, Erase

MOST = 200  # steps back


class EditHistory:
    """`now`, and steps back and forth. Changes between `begin` and the next `begin` are one step."""

    def __init__(self) -> None:
        self.now = NONE
        self._before: list[Edits] = []
        self._after: list[Edits] = []
        self._open = False  # the next change belongs to the step that was begun
        self._last: object = None  # what the last change was of

    def begin(self) -> None:
        """What comes next is a step of its own."""
        self._open, self._last = False, None

    def set(self, edits: Edits, of: object = None) -> None:
        """of: changes of the same thing that follow each other are one step; None: each is its own."""
        if edits == self.now:
            return
        if not (self._open and of is not None and of == self._last):
            self._before = [*self._before[-MOST + 1 :], self.now]
            self._after.clear()
        self._open, self._last, self.now = True, of, edits

    def add(self, edit: Edit) -> None:
        self.set(replace(self.now, items=(*self.now.items, edit)))

    def change_last(self, edit: Erase, of: object) -> None:
        """The last erasure becomes another while it is drawn or dragged."""
        items = list(self.now.items)
        if self._open and self._last == of and items:
            at = max(k for k, item in enumerate(items) if isinstance(item, Erase))
            items[at] = edit
        else:
            items.append(edit)
        self.set(replace(self.now, items=tuple(items)), of)

    def box(self) -> Box | None:
        """The rectangle that was drawn last, while nothing else was erased since."""
        last = self.now.erasures[-1:]
        return last[0].region if last and isinstance(last[0].region, Box) else None

    def move_box(self, fill: str, box: Box) -> None:
        """The rectangle drawn last is elsewhere, or has another size."""
        items = list(self.now.items)
        at = max(k for k, item in enumerate(items) if isinstance(item, Erase))
        items[at] = Erase(box, fill)
        self.set(replace(self.now, items=tuple(items)), "box")

    def adjust(self, kind: str, value: float) -> None:
        """One of each kind, where it was first set; what changes nothing is left out."""
        items = [e for e in self.now.items if not isinstance(e, Adjust) or e.kind != kind]
        at = next(
            (k for k, e in enumerate(self.now.items) if isinstance(e, Adjust) and e.kind == kind), len(items)
        )
        if value != ADJUSTMENTS[kind][2]:
            items.insert(at, Adjust(kind, value))
        self.set(replace(self.now, items=tuple(items)), kind)

    def value(self, kind: str) -> float:
        return next((a.value for a in self.now.adjustments if a.kind == kind), ADJUSTMENTS[kind][2])

    def can(self, back: bool) -> bool:
        return bool(self._before if back else self._after)

    def step(self, back: bool) -> bool:
        """Whether there was a step."""
        come_from, go_to = (self._before, self._after) if back else (self._after, self._before)
        if not come_from:
            return False
        go_to.append(self.now)
        self.now = come_from.pop()
        self.begin()
        return True

    def forget(self, now: Edits = NONE) -> None:
        """Begin anew, with no way back."""
        self.now = now
        self._before.clear()
        self._after.clear()
        self.begin()
