"""The networks of strangers in the window: each shows VisualBackProp, LRP, saliency and Guided Backprop."""

from __future__ import annotations

import numpy as np
import pytest
from drivemaker import WAIT, wait_shown

METHODS = {"lrp": "lrp", "method-2": "saliency", "method-3": "guided-backprop"}
NETWORKS = {  # and where it needs one, its specification
    "carnd-functional-elu-bgr/model.hdf5": "",
    "carnd-keras-zip/model.keras": "",
    "carnd-keras2-crop-two-lambdas/model.h5": "",
    "carnd-nvidia-elu-yuv/model.h5": "",
    "donkey-categorical-crop-bn/pilot_Cropped": "input_range = [0, 255]\noutput_bins = 15\n",
    "donkey-linear/mypilot.h5": "",
    "dronet-residual-json/model_struct.json": "",
    "lane-navigation-servo-degrees/lane_navigation_final.h5": "",
    "light-steering-onnx/steering_model_light.onnx": "",
    "pilotnet-grey-onnx-and-pth/nvidia_pilotnet.onnx": "input_range = [-1, 1]\n",
    "sign-classifier-onnx-nhwc/traffic_sign_classifier_2.onnx": 'output = "class"\n',
    "thunderhill-crop-first-two-outputs/thunderhill.h5": "",
    "tiny-63-parameters-json/model.json": "",
}
STEERING = 'output_unit = "deg"\noutput_sign = "right"\noutput_scale = 25\n'


@pytest.mark.shared
def test_each_network_shows_the_four_methods(qtbot, shared, make_window, tmp_path):
    networks = shared / "data" / "networks"
    window = make_window(size=(1024, 640))
    window.source.open_drive(networks / "drives" / "donkey-tub-v1", frame=40)
    wait_shown(qtbot, window, 40)
    for _ in range(len(METHODS) - 1):
        window.actions_by_id["add-method"].trigger()
    chosen = False
    for file, said in NETWORKS.items():
        name = str(networks / file)
        if said or file.endswith(".onnx"):
            spec = tmp_path / "net.toml"
            spec.write_text(said if said.startswith("output =") else said + STEERING)
            name += f"?spec={spec}"
        window.network.use(name)

        def ready(name=name) -> bool:
            made, frame = window.player.ready, window.player.shown_frame
            return (
                made is not None
                and made.name == name
                and frame.result is not None
                and window.presenter.complete(40)
            )

        qtbot.waitUntil(ready, timeout=4 * WAIT)
        if not chosen:
            choose(window)
            chosen = True
            qtbot.waitUntil(ready, timeout=WAIT)
        result, engine = window.player.shown_frame.result, window.player.engine
        for panel, method in METHODS.items():
            shown = window.panels.methods[panel]
            assert shown.request().method == method
            wanted = engine.explain(result, shown.request())
            # Guided Backprop's ReLUs may let nothing pass; the classifier sees no sign there.
            assert wanted.any() or method == "guided-backprop" or file.startswith("sign"), (file, method)
            qtbot.waitUntil(
                lambda shown=shown, wanted=wanted: np.array_equal(shown.view._mask, wanted), timeout=WAIT
            )
        assert window.panels.visualbackprop.view._mask is not None


def choose(window):
    for panel, method in METHODS.items():
        chooser = window.panels.methods[panel].chooser
        row = chooser.findData(method)
        chooser.setCurrentIndex(row)
        chooser.activated.emit(row)
