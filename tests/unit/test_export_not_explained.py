"""Exports with a network that VisualBackProp and LRP cannot pass: its predictions, and in words why there is no mask."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_network_not_explained import Attending, trained

from exportmaker import frames_of, make_drive, make_job
from vbp.cli import main
from vbp.drives import open_drive
from vbp.drives.bag_streams import DERIVED
from vbp.engine import Engine, open_network
from vbp.export.registry import export
from vbp.palette import WARNING, rgb
from vbp.results import MapRequest

WHY = "VisualBackProp shows nothing of this network: layer"
LRP_WHY = "LRP shows nothing of this network: layer"
PANELS = ("camera", "visualbackprop", "lrp", "maps", "plot")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "attending.pt2"
    torch.export.save(torch.export.export(trained(Attending()).eval(), (torch.rand(2, 3, 12, 16),)), path)
    path.with_suffix(".toml").write_text('output_unit = "rad"\noutput_sign = "left"\n')
    return path


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("drive"), 6)


def test_frames_have_the_predicted_angle_and_the_reason(drive: Path, model: Path, caplog) -> None:
    job = replace(make_job(drive, Path("x.mp4"), 0, 5, panels=PANELS), model=str(model))
    frames = frames_of(job)
    engine = Engine(open_network(model), "cpu")
    with open_drive(drive) as opened:
        wanted = [engine.run(opened.frame(i), ()).angle_rad for i in range(6)]
    assert [a.predicted_rad for a in frames] == pytest.approx(wanted, abs=1e-6) and len(set(wanted)) > 1
    assert all(result.maps == {} and result.layers == () for a in frames for result in a.results)
    missing = frames[0].results[0].missing
    assert missing[MapRequest("visualbackprop")].startswith(WHY)
    assert missing[MapRequest("lrp")].startswith(LRP_WHY)
    assert len(caplog.messages) == 2  # once, not for each frame


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.gif", "frame.png", "clip.mcap"])
@pytest.mark.parametrize("layout", ["stage", "picture"])
def test_it_is_written_and_said_why_there_is_no_mask(
    drive: Path, model: Path, tmp_path: Path, capsys, name: str, layout: str
) -> None:
    words = ["export", str(drive), "--model", str(model), "--device", "cpu", "-o", str(tmp_path / name)]
    words += ["--panels", ",".join(PANELS), "--layout", layout, "--json"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert (tmp_path / name).stat().st_size > 1000
    found = json.loads(said.out)["warnings"]
    assert found and found[0].startswith(WHY)
    assert f"vbp: {WHY}" in said.err and said.err.count(WHY) == 1


def test_a_folder_of_pictures_warns_in_each(drive: Path, model: Path, tmp_path: Path) -> None:
    """Beside the picture of a network that can be explained, whose lower edge says nothing."""
    import cv2

    yellow = {}
    for kind, name in (("attending", str(model)), ("NetSVF", "NetSVF")):
        job = make_job(
            drive, tmp_path / kind, 0, 1, panels=("visualbackprop",), format="pictures", size=(1280, 720)
        )
        export(replace(job, model=name))
        shown = cv2.imread(str(tmp_path / kind / "000000.png"))[..., ::-1].astype(np.int64)
        yellow[kind] = int((np.abs(shown - rgb(WARNING)).max(axis=2) < 24).sum())
    assert yellow["attending"] > 400 and yellow["NetSVF"] == 0


def test_mcap_has_angles_and_a_diagnosis_for_each_frame(drive: Path, model: Path, tmp_path: Path) -> None:
    from mcap.reader import make_reader

    output = tmp_path / "clip.mcap"
    export(replace(make_job(drive, output, 0, 5, panels=PANELS), model=str(model)))
    with output.open("rb") as file:
        messages = [(c.topic, m.data) for _, c, m in make_reader(file).iter_messages()]
    topics = [topic for topic, _ in messages]
    assert topics.count(f"{DERIVED}predicted_deg") == 6 and not any("mask" in topic for topic in topics)
    told = [data for topic, data in messages if topic == "/diagnostics"]
    assert len(told) == 6 and all(WHY.encode() in data and LRP_WHY.encode() in data for data in told)
