"""The compiled kernels, against torch in float64: convolutions, channel means, LRP; and what becomes of them where they fail."""

import os
import platform
import stat
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kernelmaker import compiled_with
from vbp.engine import Engine
from vbp.explain.chain import read_chain
from vbp.explain.forward import Forward
from vbp.explain.lrp import lrp
from vbp.graph.operations import Conv, Graph, Pad, Stage, Window
from vbp.graph.trace import trace
from vbp.models.network import Network
from vbp.models.registry import load_network
from vbp.native import build, tuning
from vbp.native.forward import NativeForward
from vbp.native.lrp import deepest_covered


@pytest.fixture(scope="module", params=["this processor", "any processor"])
def library(request, tmp_path_factory):
    """Wide vectors and narrow ones, of which a machine would otherwise see its own alone."""
    if request.param == "this processor":
        return request.getfixturevalue("compiled")
    if platform.machine() != "x86_64":
        pytest.skip("narrow vectors are asked for by a flag of x86")
    return compiled_with(tmp_path_factory.mktemp("narrow"), "-march=x86-64")


@pytest.fixture(autouse=True)
def _in_use(compiled, monkeypatch):
    monkeypatch.setattr(build, "_loaded", compiled)
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


def close(got: torch.Tensor, exact: torch.Tensor, times: float = 1e-5) -> None:
    assert got.shape == exact.shape
    assert float((got.double() - exact).abs().max()) <= times * max(float(exact.abs().max()), 1e-30)


@settings(max_examples=40)
@given(graphs(), st.sampled_from([1, 2, 3]))
def test_every_map_and_every_mean_is_that_of_float64(library, case, threads):
    graph, pictures = case
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        done = NativeForward(library, graph)(pictures)
        again = NativeForward(library, graph)(pictures)
    finally:
        torch.set_num_threads(before)
    exact = trace(graph.to("cpu", torch.float64), pictures.double())
    for k, (got, wanted) in enumerate(zip(done.values, exact.values, strict=True)):
        if got.dim() == 4:
            close(got, wanted)
            assert torch.equal(got, again.values[k])  # the same bits, whichever thread computed them
        if k and exact.stages[k - 1].relu and isinstance(exact.stages[k - 1].op, Conv):
            close(done.mean(k), wanted.mean(1))
            assert done.means[k] is not None


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (1, 3), (2, 3)])
def test_rows_that_a_stride_leaves_out_where_two_threads_meet_are_computed(library, threads, kernel, stride):
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
        done = NativeForward(library, graph)(pictures)
    finally:
        torch.set_num_threads(before)
    for got, wanted in zip(
        done.values, trace(graph.to("cpu", torch.float64), pictures.double()).values, strict=True
    ):
        close(got, wanted)


@settings(max_examples=40)
@given(graphs(), st.sampled_from([1e-3, 1.0, 100.0, 1e6, 1e30]))
def test_lrp_is_that_of_float64(library, case, eps):
    graph, pictures = case
    done = NativeForward(library, graph)(pictures)
    # From the same activations: a ReLU that rounding turns on or off is not what is tested here.
    exact = trace(graph.to("cpu", torch.float64), pictures.double())
    exact = type(exact)(exact.stages, tuple(v.double() for v in done.values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_loaded", library)
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


def test_what_serves_is_found_out_in_the_background(compiled):
    graph = read_chain(nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU()))
    forward = Forward(graph)
    picture = torch.rand(1, 1, 60, 80)
    before = forward(picture)
    assert forward.path in ("onednn", "plain")
    forward.wait_until_tuned()
    after = forward(picture)
    close(after.output, before.output.double())
    assert (forward.path == "native") == (forward.unavailable_reason == "")
    assert forward.unavailable_reason in ("", "they are slower on this network")


def test_kernels_that_are_wrong_do_not_serve(compiled, monkeypatch):
    monkeypatch.setattr(compiled, "run", lambda *_: None)
    forward = Forward(read_chain(nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU())))
    forward(torch.rand(1, 1, 40, 40))
    forward.wait_until_tuned()
    forward(torch.rand(1, 1, 40, 40))
    assert forward.path != "native" and "other numbers" in forward.unavailable_reason


class _Built:
    """A cache folder and a compiler of one's own."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.setattr(build, "_loaded", None)
        monkeypatch.setattr(build, "_failed", "")
        monkeypatch.setattr(tuning, "PATIENCE_S", 0.0)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        self._patch = monkeypatch

    def compiler(self, script: str) -> None:
        path = self.folder / "cc"
        path.write_text(f"#!{sys.executable}\n{script}\n")
        path.chmod(0o755)
        self._patch.setenv("CC", str(path))


@pytest.fixture
def own(tmp_path, monkeypatch):
    return _Built(tmp_path, monkeypatch)


def _path_of_a_network() -> str:
    spec = load_network("NetSVF").spec
    layers = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1))
    layers(torch.rand(1, 1, spec.input_height, spec.input_width))
    network = Network(spec, layers)
    engine = Engine(network, "cpu")
    frame = np.zeros((480, 640, 3), np.uint8)
    engine.run(frame)
    engine.wait_until_tuned()
    return engine.run(frame).path


def test_without_a_compiler_it_is_said(own, monkeypatch):
    monkeypatch.setenv("PATH", str(own.folder))
    monkeypatch.delenv("CC", raising=False)
    assert "no own kernels, because there is no C compiler (gcc, cc or clang) here" in _path_of_a_network()


def test_a_compiler_that_fails_is_quoted(own):
    own.compiler("import sys; print('no such option'); sys.exit('--version' not in sys.argv)")
    assert "failed (no such option)" in _path_of_a_network()


def test_a_library_that_is_none_does_not_serve(own):
    own.compiler(
        "import sys; '-o' in sys.argv and open(sys.argv[sys.argv.index('-o') + 1], 'w').write('none')"
    )
    assert "what was compiled cannot be loaded" in _path_of_a_network()
    assert not list((own.folder / "cache" / "vbp" / "kernels").iterdir())  # the next start compiles anew


def test_a_closed_engine_ends_the_compiler(own):
    own.compiler("import sys, time; '--version' in sys.argv or time.sleep(60)")
    forward = Forward(read_chain(nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU())))
    forward(torch.rand(1, 1, 40, 40))
    assert "vbp kernels" in [thread.name for thread in threading.enumerate()]
    forward.close()
    assert "vbp kernels" not in [thread.name for thread in threading.enumerate()]
    assert not build.unavailable_reason()  # another engine may try again


def test_switched_off(own, monkeypatch):
    monkeypatch.setenv("VBP_NATIVE", "0")
    assert "because VBP_NATIVE is 0" in _path_of_a_network()
    assert not (own.folder / "cache").exists()


def test_compiling_ends_with_the_program_and_leaves_nothing(own):
    own.compiler("import sys, time; '--version' in sys.argv or time.sleep(60)")
    asked = []
    with pytest.raises(build.NotBuiltError, match="ends"):
        build.kernels(build=lambda: asked.append(1) or len(asked) < 3)
    assert not list((own.folder / "cache" / "vbp" / "kernels").iterdir())


def test_only_what_the_user_alone_can_have_written_is_loaded(own, tmp_path):
    library = tmp_path / "kernels.so"
    library.write_bytes(b"")
    library.chmod(0o644)
    assert build._is_ours(library)
    library.chmod(0o666)
    assert not build._is_ours(library)
    library.chmod(0o644)
    link = tmp_path / "link.so"
    link.symlink_to(library)
    assert not build._is_ours(link)
    assert stat.S_IMODE(build.cache_folder("kernels").stat().st_mode) == 0o700
    assert os.environ["XDG_CACHE_HOME"] in str(build.cache_folder("kernels"))


def test_a_library_that_was_cut_short_is_compiled_anew(own, compiled, tmp_path_factory, monkeypatch):
    """The system ends a program that loads one."""
    made = next(tmp_path_factory.getbasetemp().glob("cache*/vbp/kernels/*.so"))
    calls = own.folder / "calls"
    own.compiler(
        "import shutil, sys\n"
        "if '-o' in sys.argv:\n"
        f"    shutil.copyfile({str(made)!r}, sys.argv[sys.argv.index('-o') + 1])\n"
        f"    print('called', file=open({str(calls)!r}, 'a'))"
    )
    lanes = build.kernels(build=lambda: True).lanes
    (library,) = build.cache_folder("kernels").iterdir()
    short = library.with_name("short")
    short.write_bytes(library.read_bytes()[:4096])
    short.replace(library)  # what is loaded stays whole
    monkeypatch.setattr(build, "_loaded", None)
    with pytest.raises(build.NotBuiltError, match="not compiled yet"):
        build.kernels()
    assert build.kernels(build=lambda: True).lanes == lanes == compiled.lanes
    (again,) = build.cache_folder("kernels").iterdir()
    assert again.read_bytes() == made.read_bytes() and len(calls.read_text().splitlines()) == 2


def test_what_was_left_half_compiled_is_removed_when_it_is_old(own):
    folder = build.cache_folder("kernels")
    old, new = folder / f"a{build.PART}", folder / f"b{build.PART}"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    build._remove_leftovers(folder)
    assert not old.exists() and new.exists()
