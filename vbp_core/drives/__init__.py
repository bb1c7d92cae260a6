"""Recordings on disk, opened by what is in them: `open_drive(path)`."""

from vbp.drives.base import Drive, DriveInfo, FrameBatch, Gap, OpenOptions
from vbp.drives.opening import FORMATS, open_drive

__all__ = ["FORMATS", "Drive", "DriveInfo", "FrameBatch", "Gap", "OpenOptions", "open_drive"]
