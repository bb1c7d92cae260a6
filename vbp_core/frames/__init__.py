"""The one way of a frame: read, run through the networks, explained, and kept as a row of a table."""

from vbp.frames.reading import read_frame as read_frame
from vbp.frames.running import complete_frame as complete_frame
from vbp.frames.running import run_frame as run_frame
from vbp.frames.running import run_frames as run_frames
