"""`vbp bench`: what is counted and compared is right; how fast it is, is nobody's business here."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from roadmaker import tiny_spec
from vbp.bench import beside
from vbp.bench.busy import busy_process
from vbp.bench.machine import Limits
from vbp.bench.networks import RATIOS, forward_work, lrp_work, mask_work, transposed_mask
from vbp.bench.onnx import measure_onnx
from vbp.bench.others import Folded, captum_lrp
from vbp.bench.pipeline import compare_rates, latency, play_rate, seek_latency
from vbp.bench.recordings import read_demo, write_bag, write_h264, write_pictures
from vbp.bench.report import as_markdown, as_text, tables
from vbp.bench.targets import results
from vbp.bench.timing import Estimate, interleaved
from vbp.cli import main
from vbp.cli.bench import least_ms
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.errors import VbpError
from vbp.explain.chain import read_chain
from vbp.graph.trace import trace
from vbp.models.network import build, save_checkpoint


def test_tasks_run_by_turns_and_medians_are_theirs() -> None:
    now, order = [0.0], []

    def task(name: str, seconds: float):
        def run() -> None:
            order.append(name)
            now[0] += seconds

        return run

    found = interleaved({"a": task("a", 0.001), "b": task("b", 0.004)}, 0.05, least=6, clock=lambda: now[0])
    assert order[6:14] == [
        "a",
        "b",
        "b",
        "a",
        "a",
        "b",
        "b",
        "a",
    ]  # after warming up; turned by one each round
    a, b = found.estimate("a"), found.estimate("b")
    assert a.value == pytest.approx(1.0) and b.value == pytest.approx(4.0)
    assert a.runs == b.runs >= 6
    assert found.ratio("b", "a").value == pytest.approx(4.0)


@pytest.mark.parametrize("name", ["NetSVF", "NetHVF"])
def test_the_mask_by_transposed_convolutions_is_the_mask(name: str) -> None:
    engine = Engine(open_network(name), "cpu")
    picture = read_demo(1)[0]
    done = engine.run(picture)
    naive = transposed_mask(done.trace)[0].numpy()
    assert np.abs(naive - done.map("visualbackprop")).max() < 1e-5


def test_what_captum_is_given_is_the_network() -> None:
    network = build(tiny_spec(), 3)
    chain = read_chain(network.module)
    images = torch.rand(2, 1, network.spec.input_height, network.spec.input_width)
    with torch.no_grad():
        out = Folded(chain).eval()(images)
        assert torch.allclose(out, network.module.eval()(images), atol=1e-5)
    assert isinstance(captum_lrp(chain, images)(), torch.Tensor)


def test_operations_by_hand() -> None:
    layer = torch.nn.Conv2d(3, 5, (2, 4), stride=(1, 2))
    module = torch.nn.Sequential(layer, torch.nn.ReLU())
    done = trace(read_chain(module), torch.zeros(2, 3, 10, 20))
    work = forward_work(done)
    outputs = 2 * 5 * 9 * 9
    assert work.operations == 2 * outputs * 3 * 2 * 4
    assert work.bytes == 4 * (2 * 3 * 10 * 20 + outputs + 5 * 3 * 2 * 4)
    back = lrp_work(done)
    assert back.operations == work.operations + 2 * 3 * 10 * 20 + 2 * outputs
    assert back.bytes == work.bytes + 4 * (2 * 3 * 10 * 20)
    plane = 2 * 9 * 9
    assert mask_work(done).bytes == 4 * (outputs + 2 * plane) + 8 * 2 * 10 * 20
    # With the means from the pass the maps are not read again.
    assert (
        mask_work(replace(done, means=(None, done.values[1].mean(1)))).bytes
        == 4 * 4 * plane + 8 * 2 * 10 * 20
    )
    assert least_ms(work, Limits(1e9, 1e18)) == pytest.approx(work.operations / 1e6)
    assert least_ms(work, Limits(1e18, 1e9)) == pytest.approx(work.bytes / 1e6)


def sure(value: float, off: float = 0.0) -> dict[str, float]:
    return asdict(Estimate(value, value - off, value + off, 20))


def _facts(device: str, batch: int, **timings: float) -> dict[str, object]:
    named = {name.replace("_", " "): ms for name, ms in timings.items()}
    ratios = {
        words: sure(named[above] / named[below])
        for words, above, below in RATIOS
        if above in named and below in named
    }
    return {
        "machine": {"device": device},
        "networks": [
            {
                "name": "NetSVF",
                "batch": batch,
                "timings": {k: sure(ms) for k, ms in named.items()},
                "ratios": ratios,
            }
        ],
        "play": {
            "NetSVF": {"without the window": sure(59.0)},
            "mine": {"without the window": sure(1.0)},
        },
        "seek": {
            "in the window": {"folder of JPEGs": {"p95_ms": sure(50.0)}, "ROS1 bag": {"p95_ms": sure(900.0)}}
        },
        "window": {"window_ms": 1001.0, "first_mask_ms": 2999.0},
        "large": {"frames": 210_000, "second_s": 1.2, "rss_mib": 1431.0},
    }


def test_targets_met_and_missed() -> None:
    times = {"forward": 10.0, "plain_forward": 18.0, "mask": 0.7, "LRP": 20.0, "captum_LRP": 69.0}
    found = {r.what: r.met for r in results(_facts("cpu", 1, **times))}
    assert found == {
        "NetSVF: mask / forward": False,
        "NetSVF: plain forward / forward": True,
        "NetSVF: LRP / forward": True,
        "NetSVF: captum LRP / mask": False,
        "NetSVF: captum LRP / LRP": True,
        "NetSVF: H.264 file to picture with mask, frames per second, without the window": False,
        "seek, 95 %: folder of JPEGs, in the window": True,
        "process start to window": False,
        "process start to first masked frame": True,
        "210,000 frames: opening, second time": True,
        "210,000 frames: resident memory after playing and seeking": False,
    }


def test_targets_of_a_gpu_are_of_its_graph_where_it_has_one() -> None:
    graph = {"forward,_CUDA_graph": 0.2, "mask,_CUDA_graph": 0.02, "forward_+_mask,_CUDA_graph": 0.22}
    facts = _facts("NVIDIA Something", 1, mask=1.0, forward=1.0, **{"forward_+_mask": 2.0}, **graph)
    found = {r.what: r.met for r in results(facts) if "forward" in r.what and "LRP" not in r.what}
    assert found == {
        "NetSVF: mask / forward": False,
        "NetSVF: mask / forward, CUDA graph": False,
        "NetSVF: forward + mask": True,
    }


def test_targets_of_a_gpu() -> None:
    facts = _facts("NVIDIA Something", 64, mask=0.5, forward=10.0, **{"forward_+_mask": 3.0})
    found = {r.what: r.met for r in results(facts) if r.what.startswith("NetSVF, batch")}
    assert found == {
        "NetSVF, batch 64: mask / forward": True,
        "NetSVF, batch 64: forward + mask, frames per second": True,
    }
    assert not any("batch" in r.what for r in results(_facts("cpu", 64, mask=0.5, forward=10.0)))


def test_latency_of_known_laps() -> None:
    found = latency([float(n) for n in range(1, 101)])
    assert (found.p50_ms.value, found.worst_ms, found.seeks) == (50.5, 100.0, 100)
    assert found.p95_ms.value == pytest.approx(95.05)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    pictures = read_demo(45)
    write_h264(pictures, folder / "video.mp4", 20)
    write_pictures(pictures, folder / "pictures")
    write_bag(pictures, folder / "drive.bag")
    save_checkpoint(build(tiny_spec(), 3), folder / "net.safetensors")
    return folder


def test_recordings_are_what_their_names_say(made: Path) -> None:
    with av.open(str(made / "video.mp4")) as file:
        keys = [n for n, frame in enumerate(file.decode(video=0)) if frame.key_frame]
    assert keys == [0, 20, 40]
    wanted = read_demo(45)
    for name in ("video.mp4", "pictures", "drive.bag"):
        with open_drive(made / name) as drive:
            assert len(drive) == 45
            assert np.abs(drive.frame(30).astype(float) - wanted[30]).mean() < 4, name


def test_every_frame_is_played_and_every_jump_counted(made: Path) -> None:
    network = open_network(made / "net.safetensors")
    played = play_rate(made / "video.mp4", network, "cpu", 45)
    assert played.runs == 25 and played.value > 0  # the first twenty warm up
    assert seek_latency(made / "pictures", network, "cpu", 7).seeks == 7


def test_two_networks_in_one_pass(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbp.bench.pipeline.PASS", 4)
    network = open_network(made / "net.safetensors")
    rates = compare_rates(made / "pictures", [network, network], "cpu", 0.1)
    assert all(one["value"] > 0 for one in asdict(rates).values())
    facts = {"machine": {}, "networks": [], "notes": [], "compare": {"networks": ["a", "b"], **asdict(rates)}}
    assert "a and b in one pass, of the first one's frame rate" in as_text(facts)


def test_the_command(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(made / "net.safetensors")
    command = ["bench", "--model", model, "--device", "cpu", "--part", "networks", "--seconds", "0.2"]
    assert main([*command, "--batch", "1,2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [n["batch"] for n in facts["networks"]] == [1, 2]
    assert {"forward", "plain forward", "mask", "LRP", "captum LRP"} <= set(facts["networks"][0]["timings"])
    for n in facts["networks"]:  # the mask is a difference, which on a busy machine may be nothing
        assert all(t["value"] > 0 for name, t in n["timings"].items() if name != "mask")
    assert facts["networks"][0]["mask_difference"] < 1e-5
    text, markdown = as_text(facts), as_markdown(facts)
    assert "mask / forward" in text and "| mask / forward |" in markdown
    assert "Targets" in text and len(facts["targets"]) == 5
    earlier = made / "earlier.json"
    earlier.write_text(json.dumps(facts))
    assert main([*command, "--compare", str(earlier), "--markdown"]) == 0
    said = capsys.readouterr().out
    assert (
        "**Compared with the earlier run" in said
        and f"| {facts['networks'][0]['name']}: forward, ms |" in said
    )
    assert "figures can be told apart" in said
    assert "LRP: operations, bytes" in text and "Gop/s" in text
    assert all(
        n["limits_ms"][stage] <= n["timings"][stage]["value"]
        for n in facts["networks"]
        for stage, work in n["works"].items()
        if work["operations"] / facts["limits"]["operations_s"] > work["bytes"] / facts["limits"]["bytes_s"]
    )
    assert set(facts["load"]) == {"networks, net"} and facts["load"]["networks, net"]["ours"] > 0
    for stage, limit in (("forward", 0.25), ("mask", 4.0)):
        facts["networks"][0]["timings"][stage] = sure(1.0)
        facts["networks"][0]["limits_ms"][stage] = limit
    text = as_text(facts)
    assert "0.25 ms, 25% of it achieved" in text and "400%" not in text and "4 ms, which is of memory" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "NoNet"], "NoNet"),
        (["--batch", "0"], "is not a list of batch sizes"),
        (["--seconds", "0"], "--seconds 0"),
        (["--part", "everything"], "everything"),
    ],
)
def test_what_makes_no_sense_is_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    try:
        status = main(["bench", *arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    assert status == 2
    assert words in capsys.readouterr().err


def test_what_the_mask_costs_under_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(tiny_spec(), 3)
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    (found,) = measure_onnx([network], picture, 0.0)
    assert found.difference < 1e-4 and found.ratio.low <= found.ratio.value <= found.ratio.high
    assert found.forward_ms.value > 0 and found.name == network.spec.name
    table = tables({"machine": {}, "networks": [], "onnx": [asdict(found)]})[-1]
    assert table[0].endswith("two threads") and [len(row) for row in table[1]] == [2] * 5
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(VbpError, match="pip install onnxruntime"):
        measure_onnx([network], picture, 0.0)


def test_what_is_left_beside_a_busy_process(monkeypatch) -> None:
    order: list[bool] = []
    busy = False

    @contextmanager
    def pretended():
        nonlocal busy
        busy = True
        yield
        busy = False

    def measure() -> float:
        order.append(busy)
        drift = 1.0 + len(order) // 2  # a machine that becomes faster, which touches no pair's ratio
        return drift * (30.0 if busy else 40.0)

    monkeypatch.setattr(beside, "busy_process", pretended)
    found = beside._share("a", measure, 6).share
    assert order == [False, True, True, False] * 3
    assert found.runs == 6 and found.low < found.value < found.high
    monkeypatch.setattr(beside, "busy_process", pretended)
    steady = beside._share("a", lambda: 30.0 if busy else 40.0, 6)
    assert (steady.alone_fps.value, steady.beside_fps.value) == (40.0, 30.0)
    assert steady.share.low == steady.share.value == steady.share.high == 0.75
    facts = {"machine": {}, "notes": [], "networks": [], "beside": [asdict(steady)]}
    assert [(r.required, r.met) for r in results(facts)] == [(0.4, True)]
    assert "0.750 (0.750 to 0.750)" in as_text(facts)


def test_the_busy_process_computes_and_ends() -> None:
    def used() -> float:
        times = os.times()
        return times.children_user

    before = used()
    with busy_process():
        time.sleep(0.3)
    assert used() > before  # of children that have ended
