"""The traffic-sign network of the paper (Table 2), a classifier of the 43 signs of the German benchmark (GTSRB).

Every row of the table is as it says: eight convolutions of 3x3 without padding, each preceded by BatchNorm and followed
by ReLU, no pooling, and fully connected layers of 64 and 43, the first with a ReLU. It is built as the networks of
Table 1 are. The table's LogSoftMax is left out: the outputs are logits, of which cross-entropy is that same loss, and
the class and its probability do not change.

What the paper leaves open, and what is taken here: the colours of the input (RGB, which Figures 10 and 20 show), its
scale (0 to 1, without a normalisation: BatchNorm comes first), and the crop (the whole picture, stretched to 125x125).
"""

from __future__ import annotations

from collections.abc import Sequence

from vbp.models.spec import NetworkSpec

# Table 2
SIDE = 125
WIDTHS = (16, 16, 24, 24, 32, 32, 48, 48)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 2)
HIDDEN = (64,)

# The benchmark's classes 0 to 42.
SIGNS = (
    "20 km/h",
    "30 km/h",
    "50 km/h",
    "60 km/h",
    "70 km/h",
    "80 km/h",
    "End of 80 km/h",
    "100 km/h",
    "120 km/h",
    "No passing",
    "No passing over 3.5 t",
    "Right of way at crossing",
    "Priority road",
    "Yield",
    "Stop",
    "No vehicles",
    "No vehicles over 3.5 t",
    "No entry",
    "General caution",
    "Curve to the left",
    "Curve to the right",
    "Double curve",
    "Bumpy road",
    "Slippery road",
    "Road narrows",
    "Road work",
    "Traffic signals",
    "Pedestrians",
    "Children crossing",
    "Bicycles crossing",
    "Ice or snow",
    "Wild animals",
    "End of all limits",
    "Turn right ahead",
    "Turn left ahead",
    "Ahead only",
    "Straight or right",
    "Straight or left",
    "Keep right",
    "Keep left",
    "Roundabout",
    "End of no passing",
    "End of no passing over 3.5 t",
)


def netsign(classes: Sequence[str] = SIGNS) -> NetworkSpec:
    """NetSign: a picture of a sign, 125x125 RGB, to a logit for each of `classes`."""
    return NetworkSpec(
        name="NetSign",
        architecture="steering",
        arguments={
            "widths": list(WIDTHS),
            "strides": list(STRIDES),
            "hidden": list(HIDDEN),
            "outputs": len(classes),
        },
        input_height=SIDE,
        input_width=SIDE,
        channels=3,
        output="class",
        classes=tuple(classes),
    )
