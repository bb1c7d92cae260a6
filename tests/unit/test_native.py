"""The kernels, against torch in float64: convolutions, channel means, LRP; which are loaded; and what becomes of them where they fail."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vbp.engine import Engine
from vbp.explain.chain import read_chain
from vbp.explain.forward import Forward
from vbp.explain.lrp import lrp
from vbp.graph.operations import Conv, Graph, Pad, Stage, Window
from vbp.graph.trace import run_stage, trace
from vbp.models.registry import load_network
from vbp.native import library, tuning
from vbp.native.forward import NativeForward
from vbp.native.lrp import deepest_covered


@pytest.fixture(scope="module", params=library.INSTRUCTION_SETS)
def own(request):
    """Wide vectors and narrow ones, of which a machine would otherwise see its own alone."""
    try:
        return library.load(request.param)
    except library.NotLoadedError as error:
        pytest.skip(f"needs the kernels: {error}")


@pytest.fixture(autouse=True)
def _in_use(compiled, monkeypatch):
    monkeypatch.setattr(library, "_loaded", compiled)
    monkeypatch.delenv("VBP_NATIVE")


@st.composite
def graphs(draw):
    """Convolutions with ReLUs, crops and paddings between them, and a dense head; pictures that they take."""
    seed = draw(st.integers(0, 2**31))
    random = torch.Generator().manual_seed(seed)
    count, channels = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 3]))
    height, width = draw(st.integers(20, 90)), draw(st.integers(20, 170))
    stages: list[Stage] = []
    inputs, h, w = channels, height, width
    for i in range(draw(st.integers(1, 4))):
        if draw(st.integers(0, 3)) == 0:
            pad = Pad(*(draw(st.integers(-2, 1 if draw(st.booleans()) else 0)) for _ in range(4)))
            if h + pad.top + pad.bottom > 8 and w + pad.left + pad.right > 8:
                stages.append(Stage(f"pad{i}", pad))
                h, w = h + pad.top + pad.bottom, w + pad.left + pad.right
        kernel = draw(st.sampled_from([(3, 3), (3, 3), (5, 5), (1, 1), (2, 3)]))
        stride = draw(st.sampled_from([(1, 1), (2, 2), (1, 2), (3, 3)]))
        padding = draw(st.sampled_from([(0, 0), (0, 0), (1, 1), (2, 0)]))
        dilation = draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 1)]))
        outputs = draw(st.sampled_from([1, 7, 16, 24, 32, 48, 80]))
        size = [
            (n + 2 * p - (k - 1) * d - 1) // s + 1
            for n, p, k, d, s in zip((h, w), padding, kernel, dilation, stride, strict=True)
        ]
        if min(size) < 1:
            break
        weight = torch.randn((outputs, inputs, *kernel), generator=random) / (inputs * np.prod(kernel)) ** 0.5
        bias = torch.randn(outputs, generator=random) * 0.1
        stages.append(
            Stage(f"conv{i}", Conv(weight, bias, Window(kernel, stride, padding, dilation)), relu=True)
        )
        inputs, (h, w) = outputs, size
    head = nn.Sequential(nn.Flatten(), nn.Linear(inputs * h * w, 5), nn.ReLU(), nn.Linear(5, 2))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) / parameter.shape[-1] ** 0.5)
    pictures = torch.rand((count, channels, height, width), generator=random)
    return Graph((*stages, *read_chain(head).stages)).to("cpu", torch.float32), pictures


def close(
    got: torch.Tensor, exact: torch.Tensor, times: float = 1e-5, of: torch.Tensor | None = None
) -> None:
    """of: what the largest is taken of, where it is not `exact`: a ReLU may leave next to nothing of large numbers."""
    assert got.shape == exact.shape
    largest = float((exact if of is None else of).abs().max())
    assert float((got.double() - exact).abs().max()) <= times * max(largest, 1e-30)


@settings(max_examples=40)
@given(graphs(), st.sampled_from([1, 2, 3]))
def test_every_map_and_every_mean_is_that_of_float64(own, case, threads):
    graph, pictures = case
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        done = NativeForward(own, graph)(pictures)
        again = NativeForward(own, graph)(pictures)
    finally:
        torch.set_num_threads(before)
    exact = trace(graph.to("cpu", torch.float64), pictures.double())
    for k, (got, wanted) in enumerate(zip(done.values, exact.values, strict=True)):
        if got.dim() == 4:
            stage = exact.stages[k - 1]
            before = run_stage(replace(stage, relu=False), exact.inputs(k - 1)) if k else wanted
            close(got, wanted, of=before)
            assert torch.equal(got, again.values[k])  # the same bits, whichever thread computed them
        if k and exact.stages[k - 1].relu and isinstance(exact.stages[k - 1].op, Conv):
            close(done.mean(k), wanted.mean(1), of=before.abs().mean(1))
            assert done.means[k] is not None


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (1, 3), (2, 3)])
def test_rows_that_a_stride_leaves_out_where_two_threads_meet_are_computed(own, threads, kernel, stride):
    random = torch.Generator().manual_seed(0)
    first = Conv(
        torch.randn((48, 1, 3, 3), generator=random), torch.zeros(48), Window((3, 3), (1, 1), (0, 0))
    )
    square, steps = (kernel, kernel), (stride, stride)
    second = Conv(
        torch.randn((8, 48, *square), generator=random), torch.zeros(8), Window(square, steps, (0, 0))
    )
    graph = Graph((Stage("first", first, relu=True), Stage("second", second, relu=True)))
    pictures = torch.rand((1, 1, 84, 170), generator=random)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        done = NativeForward(own, graph)(pictures)
    finally:
        torch.set_num_threads(before)
    for got, wanted in zip(
        done.values, trace(graph.to("cpu", torch.float64), pictures.double()).values, strict=True
    ):
        close(got, wanted)


@settings(max_examples=40)
@given(graphs(), st.sampled_from([1e-3, 1.0, 100.0, 1e6, 1e30]))
def test_lrp_is_that_of_float64(own, case, eps):
    graph, pictures = case
    done = NativeForward(own, graph)(pictures)
    # From the same activations: a ReLU that rounding turns on or off is not what is tested here.
    exact = trace(graph.to("cpu", torch.float64), pictures.double())
    exact = type(exact)(exact.stages, tuple(v.double() for v in done.values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "_loaded", own)
        for _ in range(2):  # the second time in the memory of the first
            close(lrp(done, eps=eps), lrp(exact, eps=eps), 2e-4 if eps < 1 else 2e-5)


def test_lrp_with_eps_0_gives_nothing_to_what_is_zero(compiled):
    chain = read_chain(
        nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Flatten(1))
    )
    done = NativeForward(compiled, chain)(torch.rand(1, 1, 21, 30))
    exact = trace(chain.to("cpu", torch.float64), done.input.double())
    exact = type(exact)(exact.stages, tuple(v.double() for v in done.values))
    assert bool((done.values[-2] == 0).any())
    close(lrp(done, eps=0.0), lrp(exact, eps=0.0), 1e-4)


@pytest.mark.parametrize("name", ["NetSVF", "NetHVF"])
def test_the_steering_networks(compiled, name):
    engine = Engine(load_network(name), "cpu")
    spec = engine.spec
    pictures = torch.rand(
        (2, spec.channels, spec.input_height, spec.input_width), generator=torch.manual_seed(3)
    )
    graph = engine._forward.graph
    got, exact = (
        NativeForward(compiled, graph)(pictures),
        trace(graph.to("cpu", torch.float64), pictures.double()),
    )
    for a, b in zip(got.values[:-1], exact.values[:-1], strict=True):
        close(a, b)
    assert float((got.output - exact.output).abs().max()) < 1e-5  # radians
    assert deepest_covered(got) == max(
        k for k, v in enumerate(got.values) if v.dim() == 4
    )  # all of the convolutions
    one = got.frame(1)
    assert one.mean(1) is not None and torch.equal(one.mean(1), got.mean(1)[1:])


def test_not_a_number_stays_one(compiled):
    chain = read_chain(nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()))
    picture = torch.rand(1, 1, 20, 20)
    picture[0, 0, 10, 10] = torch.nan
    got, wanted = NativeForward(compiled, chain)(picture), trace(chain, picture)
    assert got.values[-1].isnan().any()
    # Winograd's squares may spread it to their neighbours, but never hide it.
    assert not (wanted.values[-1].isnan() & ~got.values[-1].isnan()).any()


def _picture(height: int, width: int) -> torch.Tensor:
    return torch.rand((1, 1, height, width), generator=torch.manual_seed(3))


def _network() -> Graph:
    return read_chain(nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU()))


def test_the_first_picture_is_run_by_the_kernels(compiled):
    forward = Forward(_network())
    picture = _picture(60, 80)
    first = forward(picture)
    assert (forward.path, forward.instructions) == ("native", compiled.name)
    close(first.output, trace(forward.graph.to("cpu", torch.float64), picture.double()).output)


def test_where_torch_is_faster_they_are_taken_back(monkeypatch):
    clock = iter([0.0, 2.0, 3.0] * tuning.ROUNDS)  # two seconds and one
    monkeypatch.setattr(tuning, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    forward = Forward(_network())
    forward(_picture(60, 80))
    forward.wait_until_tuned()
    forward(_picture(60, 80))
    assert forward.path != "native" and forward.unavailable_reason == "they are slower on this network"


def test_where_they_are_faster_they_stay(monkeypatch):
    clock = iter([0.0, 1.0, 3.0] * tuning.ROUNDS)
    monkeypatch.setattr(tuning, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    forward = Forward(_network())
    forward(_picture(60, 80))
    forward.wait_until_tuned()
    forward(_picture(60, 80))
    assert (forward.path, forward.unavailable_reason) == ("native", "")


def test_kernels_that_are_wrong_do_not_serve(compiled, monkeypatch):
    monkeypatch.setattr(compiled, "run", lambda *_: None)
    forward = Forward(_network())
    picture = _picture(40, 40)
    close(forward(picture).output, trace(forward.graph, picture).output.double())
    assert forward.path != "native" and "other numbers" in forward.unavailable_reason


def test_a_closed_engine_ends_what_is_timed(compiled):
    before = set(threading.enumerate())
    forward = Forward(_network())
    forward(_picture(40, 40))
    assert "vbp kernels" in [thread.name for thread in set(threading.enumerate()) - before]
    forward.close()
    assert not set(threading.enumerate()) - before


def _path_of_a_network() -> str:
    engine = Engine(load_network("NetSVF"), "cpu")
    return engine.run(np.zeros((480, 640, 3), np.uint8)).path


@pytest.fixture
def none_loaded(monkeypatch):
    monkeypatch.setattr(library, "_loaded", None)


@pytest.mark.usefixtures("none_loaded")
class TestWhichAreLoaded:
    def test_the_best_that_the_processor_has(self, tmp_path, monkeypatch):
        monkeypatch.setattr(library, "FOLDER", tmp_path)
        for name in ("avx512", "avx2", "sse2"):
            (tmp_path / f"kernels_{name}.so").touch()
        for capability, wanted in (("AVX512", "avx512"), ("AVX2", "avx2"), ("DEFAULT", "sse2")):
            monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda said=capability: said)
            assert library.best() == wanted
        with pytest.raises(library.NotLoadedError, match="this processor, or PyTorch on it, has no AVX-512"):
            library.load("avx512")

    @pytest.mark.parametrize("name", library.INSTRUCTION_SETS)
    def test_those_that_are_asked_for(self, name, monkeypatch):
        try:
            words = library.load(name).name
        except library.NotLoadedError as error:
            pytest.skip(f"needs the kernels: {error}")
        monkeypatch.setenv("VBP_NATIVE", name)
        assert _path_of_a_network() == f"own kernels ({words})"

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ("0", "because VBP_NATIVE is 0"),
            ("sse9", "because VBP_NATIVE is 'sse9', which is no set of instructions: 0, avx512"),
        ],
    )
    def test_none_and_what_there_is_not(self, asked, said, monkeypatch):
        monkeypatch.setenv("VBP_NATIVE", asked)
        assert said in _path_of_a_network()

    def test_where_vbp_was_built_without_a_compiler(self, tmp_path, monkeypatch):
        monkeypatch.setattr(library, "FOLDER", tmp_path)
        assert "no own kernels, because vbp was installed without them" in _path_of_a_network()

    def test_a_library_that_is_none_does_not_serve(self, tmp_path, monkeypatch):
        monkeypatch.setattr(library, "FOLDER", tmp_path)
        (tmp_path / "kernels_generic.so").write_bytes(b"none")
        assert "kernels_generic.so cannot be loaded" in _path_of_a_network()
