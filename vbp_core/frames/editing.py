"""Edits made in a frame's picture, between reading it and preparing it for a network."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from vbp.edits.apply import apply
from vbp.edits.edit import Edits
from vbp.edits.follow import Follower
from vbp.results import FrameResult

Frame = TypeVar("Frame", bound=FrameResult)


def edited(frame: Frame, edits: Edits, follower: Follower | None = None) -> Frame:
    """The frame as it was recorded with these edits, and no others, in its picture; a gap as it is.

    What was made of another picture of the frame is left out. follower: where edits lie that follow the picture.
    """
    recorded = frame.image if frame.recorded is None else frame.recorded
    if recorded is None or not (edits or frame.edits):
        return frame
    if frame.edits == edits and follower is None:  # made already
        return frame
    if not edits:
        return replace(frame, image=recorded, edits=edits, recorded=None, results=())
    if follower is None:
        lying, image = edits, apply(edits, recorded)
    else:
        lying = follower.follow(edits, frame.index, recorded)
        image = follower.apply(lying, recorded)
    image.flags.writeable = False
    return replace(frame, image=image, edits=lying, recorded=recorded, results=(), encoded=None)
