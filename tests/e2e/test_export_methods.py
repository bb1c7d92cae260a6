"""An export with any methods, their numbers and a target: it shows the maps that the engine explains a frame with."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader

from exportmaker import HEIGHT, WIDTH, make_drive, make_job
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.errors import VbpError
from vbp.explain import METHODS
from vbp.export.compose import Composer
from vbp.export.facts import check_settings, facts_of, title_of
from vbp.export.frames import map_of, open_source
from vbp.export.job import LAYOUTS, Job, Settings
from vbp.export.layouts import place
from vbp.export.mcap_file import full_mask, mask_topic
from vbp.export.registry import export
from vbp.frames import complete_frame, read_frame, run_frame, run_frames
from vbp.frames.table import COLUMNS
from vbp.overlay import Overlay, Rect, blend, grey_to_rgb
from vbp.results import FrameRequest, MapRequest
from videomaker import linear

N = 4
SHOWN = ("camera", "fbi", "saliency")
NUMBERS = {"fbi": {"tau": 5.0}}
FAST = [name for name, method in METHODS.items() if not method.slow]


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("drive"), N)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(open_network("NetSVF"), "cpu")


def explained(drive: Path, engine: Engine, panel: str, target: str, index: int) -> tuple[np.ndarray, Rect]:
    """The panel's picture at its own size, of a map that is explained as the window does it, and the crop."""
    with open_drive(drive) as opened:
        image = opened.frame(index)
        result = engine.run(image)
        if panel == "camera":
            return blend(image, result.map(), result.crop, "paper", 0.8), result.crop
        request = MapRequest(panel, tuple(NUMBERS.get(panel, {}).items()), target)
        found = engine.explain(result, request, float(opened.angle_rad[index]))
        return blend(grey_to_rgb(result.input), found, None, "paper", 0.8), result.crop


def tile(job: Job, picture: np.ndarray, panel: str) -> np.ndarray:
    with open_source(job) as source:
        composer = Composer(facts_of(source.drive, source.engine, np.arange(N)), job.settings)
    place = composer.places.tiles[composer.tiles.index(panel)]
    return picture[place.y : place.y + place.height, place.x : place.x + place.width]


def scaled(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mode = cv2.INTER_AREA if shape[1] < picture.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(picture, (shape[1], shape[0]), interpolation=mode)


@pytest.mark.parametrize("target", ["", "negative", "error"])
@pytest.mark.parametrize("name", ["clip.mkv", "one.png", "folder", "clip.gif", "clip.mp4"])
def test_a_panel_shows_what_the_engine_explains(
    drive: Path, engine: Engine, tmp_path: Path, name: str, target: str
) -> None:
    settings = {"format": "pictures"} if name == "folder" else {}
    settings |= {"codec": "ffv1"} if name == "clip.mkv" else {"fps": 20.0} if name == "clip.gif" else {}
    last = 2 if name == "one.png" else N - 1
    job = make_job(
        drive, tmp_path / name, 2 if name == "one.png" else 0, last, panels=SHOWN, layout="grid",
        size=(1280, 720), quality="0" if name == "clip.mp4" else "good", target=target, parameters=NUMBERS,
        **settings,
    )  # fmt: skip
    output = export(job)
    if name == "folder":
        output = output / "000002.png"
    if output.suffix == ".png":
        picture = cv2.imread(str(output))[..., ::-1]
    else:
        picture = [rgb for _, rgb, _ in linear(output)][2]
    for panel in SHOWN:
        shown = tile(job, picture, panel)
        expected, crop = explained(drive, engine, panel, target, 2)
        expected = scaled(expected, shown.shape)
        part = slice(2, -2)
        if panel == "camera":  # but for the outline of the crop
            top = round(crop.y * shown.shape[0] / HEIGHT)
            part = slice(top + 2, -2)
        difference = np.abs(shown[part, 2:-2].astype(int) - expected[part, 2:-2])
        if output.suffix in (".gif", ".mp4"):  # 256 colours; a colour for four pixels
            assert difference.mean() < 8
        else:
            assert np.percentile(difference, 99) <= 2  # batches round otherwise than single frames


def test_targets_and_numbers_are_seen(drive: Path, tmp_path: Path) -> None:
    seen = set()
    for k, more in enumerate(({}, {"target": "negative"}, {"parameters": {"fbi": {"keep": 0.2}}})):
        job = make_job(
            drive,
            tmp_path / f"{k}.png",
            1,
            1,
            panels=("fbi",),
            overlay=Overlay(style="heat"),
            layout="row",
            **more,
        )
        picture = cv2.imread(str(export(job)))
        seen.add(tile(job, picture, "fbi").tobytes())
    assert len(seen) == 3


def test_mcap_has_the_maps_that_the_engine_explains(drive: Path, engine: Engine, tmp_path: Path) -> None:
    job = make_job(
        drive, tmp_path / "a.mcap", 0, N - 1, panels=SHOWN, target="negative", parameters=NUMBERS, size=None
    )
    with export(job).open("rb") as file:
        reader = make_reader(file)
        found: dict[str, list[bytes]] = {}
        for _, channel, message in reader.iter_messages():
            found.setdefault(channel.topic, []).append(message.data)
        (metadata,) = [m.metadata for m in reader.iter_metadata() if m.name == "vbp"]
    assert metadata["target"] == "negative" and metadata["parameters"] == '{"fbi": {"tau": 5.0}}'
    with open_drive(drive) as opened:
        for panel in ("fbi", "saliency"):
            strongest = 0.0
            for i in range(N):
                result = engine.run(opened.frame(i))
                request = map_of(job.settings, panel)
                assert request is not None
                found_map = engine.explain(result, request)
                expected = full_mask(found_map, (HEIGHT, WIDTH), result.crop, METHODS[panel].signed)
                grey = np.frombuffer(found[mask_topic(panel)][i][-HEIGHT * WIDTH :], dtype=np.uint8)
                difference = np.abs(grey.reshape(HEIGHT, WIDTH).astype(int) - expected)
                assert np.percentile(difference, 99) <= 1
                strongest = max(strongest, float(expected.std()))
            assert strongest > 0.5  # there is something to see
    topics = {topic.rpartition("/")[2] for topic in found}
    assert {"driven_deg", "predicted_deg", "error_deg"} <= topics


def test_the_list_of_pictures_has_the_columns_of_every_table(
    drive: Path, engine: Engine, tmp_path: Path
) -> None:
    export(make_job(drive, tmp_path / "folder", 1, 3, format="pictures", fps=40.0))
    with (tmp_path / "folder" / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", *COLUMNS, "time_ns"]
    assert [row["frame"] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    with open_drive(drive) as opened:
        for row in rows:
            i = int(row["frame"])
            assert row["timestamp_ns"] == str(opened.timestamps_ns[i]) and row["model"] == engine.name
            assert float(row["driven_rad"]) == opened.angle_rad[i]
            assert float(row["predicted_rad"]) == pytest.approx(
                engine.run(opened.frame(i)).angle_rad, abs=1e-6
            )
            assert float(row["error_deg"]) == float(row["driven_deg"]) - float(row["predicted_deg"])


# --- many panels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "picture"])
@given(
    st.lists(st.sampled_from(FAST), min_size=1, max_size=6, unique=True),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(640, 125), (200, 66), (224, 224)]),
)
def test_one_to_six_methods_have_their_places(
    layout: str, methods: list[str], camera: bool, plot: bool, input_size: tuple[int, int]
) -> None:
    panels = len(methods) + camera
    aspects = [4 / 3] * camera + [input_size[0] / input_size[1]] * len(methods)
    places = place(layout, None, aspects, plot, (640, 480))
    every = [*places.tiles, places.readout, *([places.plot] if places.plot is not None else [])]
    assert len(places.tiles) == panels
    for n, a in enumerate(every):
        assert a.x >= 0 and a.y >= 0 and a.x + a.width <= places.width and a.y + a.height <= places.height
        for b in every[n + 1 :]:  # nothing lies over anything else
            beside = a.x + a.width <= b.x or b.x + b.width <= a.x
            assert beside or a.y + a.height <= b.y or b.y + b.height <= a.y
    assert all(t.width >= 60 and t.height >= 16 for t in places.tiles), places.tiles


@pytest.mark.parametrize("layout", LAYOUTS)
def test_six_methods_are_drawn(drive: Path, layout: str) -> None:
    methods = ("lrp", "fbi", "saliency", "phi", "grad-cam", "guided-backprop")
    for n in range(1, 7):
        settings = Settings(panels=("camera", *methods[:n], "plot"), layout=layout, target="negative")
        job = make_job(drive, Path("x.mp4"), 0, N - 1, **vars(settings))
        with open_source(job) as source:
            composer = Composer(facts_of(source.drive, source.engine, np.arange(N)), job.settings)
            with_maps = next(composer.draw(frame) for frame in source.frames([1]))
            without = next(composer.draw(frame) for frame in source.frames([1], maps=()))
        for panel, t in zip(composer.tiles, composer.places.tiles, strict=True):
            a, b = (p[t.y : t.y + t.height, t.x : t.x + t.width].astype(int) for p in (with_maps, without))
            assert np.abs(a - b).max() > 20, (layout, n, panel)


# --- titles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("panel", "settings", "of_classes", "title"),
    [
        ("lrp", Settings(), False, "LRP (network's input)"),
        ("lrp", Settings(target="output"), False, "LRP (network's input)"),
        ("lrp", Settings(target="class"), True, "LRP (network's input)"),
        ("lrp", Settings(target="class:3"), True, "LRP, target class:3 (network's input)"),
        ("lrp", Settings(parameters={"lrp": {"eps": 100.0, "bias": 1.0}}), False, "LRP (network's input)"),
        (
            "lrp",
            Settings(parameters={"lrp": {"eps": 0.5, "bias": 0.0}, "fbi": {"tau": 3}}, target="error"),
            False,
            "LRP, eps 0.5, bias off, target error (network's input)",
        ),
        ("phi", Settings(target="negative"), False, "phi (network's input)"),  # which explains no target
        ("camera", Settings(target="negative"), False, "Camera, VisualBackProp in red"),
        ("camera", Settings(overlay=Overlay(style="heat")), False, "Camera, VisualBackProp"),
        ("plain", Settings(), False, "Camera"),
    ],
)
def test_a_title_says_what_is_not_the_default(
    panel: str, settings: Settings, of_classes: bool, title: str
) -> None:
    assert title_of(panel, settings, of_classes) == title


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(panels=("lpr",)), "no panel 'lpr'"),
        (Settings(target="left"), "the target 'left' is not known"),
        (Settings(parameters={"lpr": {"eps": 1.0}}), "no method 'lpr'"),
        (Settings(parameters={"lrp": {"tau": 1.0}}), "LRP takes no 'tau'"),
        (Settings(parameters={"lrp": {"bias": 0.5}}), "bias of LRP is 0 or 1"),
    ],
)
def test_what_does_not_exist_is_said(settings: Settings, words: str) -> None:
    with pytest.raises(VbpError, match=words):
        check_settings(settings)


# --- one frame, completed -------------------------------------------------------------------------


def test_a_completed_frame_is_what_a_run_with_all_of_it_gives(drive: Path, engine: Engine) -> None:
    fbi, error = MapRequest("fbi", (("tau", 5.0),), "negative"), MapRequest("lrp", (), "error")
    request = FrameRequest((MapRequest(), fbi, error), layers=True)
    with open_drive(drive) as opened:
        first = run_frame(read_frame(opened, 2), [engine])
        completed = complete_frame(first, engine, request)
        whole = run_frame(read_frame(opened, 2), [engine], request)
        batch = list(run_frames(opened, [engine], request))[2]
    assert first.result is not None and list(first.result.maps) == [MapRequest()]
    for other in (whole, batch):
        a, b = completed.results[0], other.results[0]
        assert list(a.maps) == list(b.maps) == list(request.maps)
        assert (a.network, a.warnings, a.missing, a.crop) == (b.network, b.warnings, b.missing, b.crop)
        assert [row.name for row in a.layers] == [row.name for row in b.layers] and a.layers
    for wanted in request.maps:
        np.testing.assert_array_equal(completed.results[0].maps[wanted], whole.results[0].maps[wanted])
