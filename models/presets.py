"""What well-known projects do with a picture before their networks see it, by name: `preset = "udacity-sim"` in a specification."""

from __future__ import annotations

from typing import Any

# The fields of a TOML file each. Of another camera's frames the crops are scaled. A field that the file gives counts more.
PRESETS: dict[str, dict[str, Any]] = {
    # github.com/naokishibuya/car-behavioral-cloning, utils.py: rows 60 to 135 of 160, resized, then YUV. Its cv2.resize gets
    # INTER_AREA where the destination stands, so it is linear. Networks of before 2017 want colour "yuv-bgr" (OpenCV <= 3.1).
    "udacity-sim": {
        "colour": "yuv",
        "input_range": "none",
        "crop": {"pixels": [0, 60, 320, 75], "of": [320, 160]},
        "order": ["crop", "resize", "colour"],
        "resize": "linear",
        "output_unit": "deg",
        "output_scale": 25.0,
        "output_sign": "right",
    },
    # github.com/autorope/donkeycar: the camera's 160x120 as they are; 0 to 1 since 3.1, 0 to 255 before.
    "donkey": {
        "colour": "rgb",
        "input_range": [0, 1],
        "crop": {"kind": "none"},
        "output_unit": "deg",
        "output_scale": 25.0,
        "output_sign": "right",
    },
    # Bojarski et al. 2016, "End to end learning for self-driving cars", Figure 4: YUV at 66x200, normalised; the crop is not
    # published, so it is the bottom in the input's shape. Its output is 1/r; the car is the Lincoln MKZ of Udacity's recordings.
    "pilotnet": {
        "colour": "yuv",
        "input_range": [-1, 1],
        "crop": {"rows": 211, "of_width": 640},
        "output_unit": "1/m",
        "output_sign": "left",
        "wheelbase_m": 2.85,
        "steering_ratio": 14.8,
    },
    # MIT 6.S094's DeepTesla, as kept in github.com/mbechtel2/DeepPicar-v2, preprocess.py: rows 350 to 553 of 720 and as much of
    # the middle as 66x200 has the shape of, as OpenCV reads it; /255. run.py takes its output for radians.
    "deeptesla": {
        "colour": "bgr",
        "input_range": [0, 1],
        "crop": {"pixels": [332, 350, 616, 203], "of": [1280, 720]},
        "resize": "linear",
        "output_unit": "rad",
        "output_sign": "right",
    },
    # github.com/uzh-rpg/rpg_public_dronet, img_utils.py: grey, resized to 320x240, then the lower middle 200x200; /255.
    "dronet": {
        "channels": 1,
        "colour": "grey",
        "input_range": [0, 1],
        "order": ["colour", "resize", "crop"],
        "resize": "linear",
        "resize_to": [320, 240],
        "crop": {"pixels": [60, 40, 200, 200], "of": [320, 240]},
        "output_unit": "rad",
        "output_sign": "left",
    },
    # github.com/commaai/research, train_steering_model.py: the whole picture at 160x320, RGB, scaled inside; the label counts
    # tenths of a degree, and view_steering_model.py draws positive ones to the right. (The networks of openpilot
    # itself take two frames as six planes, which is no picture.)
    "openpilot-like": {
        "colour": "rgb",
        "input_range": "none",
        "crop": {"kind": "none"},
        "output_unit": "deg",
        "output_scale": 0.1,
        "output_sign": "right",
    },
}
