"""What the recording contains, and what was assumed about it."""

from __future__ import annotations

from html import escape

import numpy as np
from PySide6.QtWidgets import QFrame, QHBoxLayout, QTextBrowser, QToolButton, QVBoxLayout, QWidget

from vbp.drives.base import Drive
from vbp.drives.holes import find_holes, played_ns
from vbp.readable import clock, how_long, signed

GAPS_LISTED = 50


class InfoPanel(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.text = QTextBrowser()
        self.text.setFrameShape(QFrame.Shape.NoFrame)
        self.text.setPlaceholderText("The contents of a drive appear here when it is open")
        self.header = QWidget()  # for the panel's title line
        self.reading = QToolButton()
        self.reading.setText("How it is read…")
        self.reading.setToolTip("Camera, steering, unit, rate and speed (Ctrl+I)")
        self.reading.setStyleSheet("QToolButton { padding: 0 6px; }")
        row = QHBoxLayout(self.header)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(self.reading)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.text)

    def set_drive(self, drive: Drive | None, note: str = "") -> None:
        """note: what is odd about the drive for the network that is loaded."""
        self.text.setHtml(describe(drive, note) if drive is not None else "")


def describe(drive: Drive, note: str = "") -> str:
    """The drive in words, as simple HTML."""
    info = drive.info
    notes = [*info.notes, note] if note else info.notes
    played, holes = played_ns(drive.timestamps_ns), find_holes(drive.timestamps_ns)
    seconds = float(played[-1]) / 1e9 if len(played) else 0.0
    labelled = int(np.isfinite(drive.angle_rad).sum())
    rows = [
        ("Recording", str(info.path)),
        ("Kind", info.kind),
        ("Frames", f"{len(drive)}, {info.width}×{info.height}, {info.fps:.1f} per second"),
        ("Duration", clock(seconds) + (", without the holes in time" if holes else "")),
        ("Camera", info.camera + (f" (of {', '.join(info.cameras)})" if len(info.cameras) > 1 else "")),
        ("Classes", f"{len(info.classes)}, a folder each" if info.classes else ""),
        (
            "Steering",
            f"{labelled} of {len(drive)} frames"
            if labelled
            else "none: no driven angle and no error are shown",
        ),
        ("Angle", _angle(info.angle_unit, info.angle_sign)),
        ("Source of the unit", info.angle_source),
    ]
    if labelled:
        degrees = np.degrees(drive.angle_rad[np.isfinite(drive.angle_rad)])
        rows.append(("Range", f"{signed(degrees.min())}° to {signed(degrees.max())}°"))
    if np.isfinite(drive.speed_mps).any():
        rows.append(("Speed", f"up to {np.nanmax(drive.speed_mps):.1f} m/s"))
    cells = "".join(
        f"<tr><td style='padding-right:12px'><b>{name}</b></td><td>{escape(value)}</td></tr>"
        for name, value in rows
        if value
    )
    parts = [f"<table cellspacing='2'>{cells}</table>"]
    if notes:
        parts.append("<p><b>Notes</b></p>" + "".join(f"<p>{escape(text)}</p>" for text in notes))
    if holes:
        parts.append(f"<p><b>Holes in time</b> ({len(holes)}), which playing and clips jump</p>")
        parts += [f"<p>{how_long(long)} after frame {before}</p>" for before, long in holes[:GAPS_LISTED]]
        if len(holes) > GAPS_LISTED:
            parts.append(f"<p>and {len(holes) - GAPS_LISTED} more</p>")
    if info.gaps:
        parts.append(f"<p><b>Gaps</b> ({len(info.gaps)})</p>")
        for gap in info.gaps[:GAPS_LISTED]:
            where = f"frame {gap.first}" if gap.first == gap.last else f"frames {gap.first}–{gap.last}"
            parts.append(f"<p>{where}: {escape(gap.reason)}</p>")
        if len(info.gaps) > GAPS_LISTED:
            parts.append(f"<p>and {len(info.gaps) - GAPS_LISTED} more</p>")
    return "".join(parts)


def _angle(unit: str, sign: str) -> str:
    if not unit:
        return ""
    words = {"rad": "radians", "deg": "degrees"}.get(unit, unit)
    return f"stored as {words}" + (f", positive to the {sign}" if sign else "")
