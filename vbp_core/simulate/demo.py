"""Makes the demo drive of assets/demo: `python -m vbp.simulate.demo FOLDER`.

A minute of one seed that was chosen for its variety: sharp bends, dusk, wet and dry, shadows of trees, missing
and worn lines, a road without lines, crosswalks, traffic. The video is compressed harder than a drive for training
would be, and every 8th frame has its classes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vbp.simulate.world import Settings
from vbp.simulate.write import VIDEO, simulate

SETTINGS = Settings(frames=1200, seed=360)
TRUTH_EVERY = 8
CRF = 27
NAME = "demo"  # demo.mp4 and demo_steering.csv: found as a pair by their names


def make_demo(folder: str | Path, settings: Settings = SETTINGS) -> Path:
    """Write the demo drive into a new folder; returns its video. Raises VbpError."""
    made = simulate(folder, settings, "h264", truth_every=TRUTH_EVERY, progress=None, crf=CRF, pack=True)
    for file in made.glob(f"{Path(VIDEO).stem}*"):
        file.rename(file.with_name(file.name.replace(Path(VIDEO).stem, NAME, 1)))
    return made / f"{NAME}.mp4"


if __name__ == "__main__":
    make_demo(sys.argv[1])
