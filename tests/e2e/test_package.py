"""The wheel: what is in it, and that it runs in a folder full of a user's own packages."""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from vbp.native.library import INSTRUCTION_SETS
from vbp.native.tuning import CLOSE

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"vbp_core": "vbp", "models": "vbp/models", "app": "vbp/app", "assets": "vbp/assets"}
SOURCES_OF_KERNELS = "vbp_core/native/c"
COMPILER = next(filter(None, map(shutil.which, ("gcc", "cc"))), None)
DEMO = ROOT / "assets" / "demo"
ANGLE_DEG = 5.0  # what the user's network says of every frame

# A user's folder: three packages of ours are called the same, and three must not be imported at all.
USERS_FILES = {
    "models/__init__.py": "",
    "models/pilotnet.py": f"""
from pathlib import Path
from torch import nn
from utils.layers import trunk

class Net(nn.Sequential):
    def __init__(self):
        last = nn.Linear(4, 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, {ANGLE_DEG})
        super().__init__(*trunk(), last)
        Path("made").touch()
""",
    "models/factory.py": "from models.pilotnet import Net\n\ndef make():\n    return Net()\n",
    "app/__init__.py": "from app.parts import make\n",
    "app/parts.py": "from models.pilotnet import Net as make\n",
    "utils/__init__.py": "",
    "utils/layers.py": """
from torch import nn

def trunk():
    return nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
""",
    "assets/__init__.py": "raise ImportError('the assets of the user')\n",
    "tests/__init__.py": "raise ImportError('the tests of the user')\n",
    "vbp_core/__init__.py": "raise ImportError('the vbp_core of the user')\n",
    "pilotnet.toml": """
input_height = 61
input_width = 160
channels = 3
output_unit = "deg"
output_sign = "left"
crop = { rows = 200, of_width = 640 }
""",
}


def in_tree(kept) -> dict[str, Path]:
    """The files of the program that `kept` takes, by their names in the wheel."""
    return {
        (PurePosixPath(package) / path.relative_to(ROOT / folder).as_posix()).as_posix(): path
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and kept(path.relative_to(ROOT))
    }


def copy_of_the_sources(folder: Path) -> Path:
    """As setuptools takes what it finds in an old build folder into the wheel."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def built(source: Path, out: Path, **environment: str) -> Path:
    """A wheel, made without the network; what was said meanwhile stands in source/log."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    run([*command, "--log", source / "log", "-w", out, source], source, **environment)
    (found,) = out.iterdir()
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    return built(copy_of_the_sources(source), out)


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of a new environment are, in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    builder = venv.EnvBuilder(symlinks=os.name != "nt")
    context = builder.ensure_directories(folder)
    builder.create(folder)
    python = Path(context.env_exe)
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "--python", python]
    run([*command, "install", "--no-index", "--no-deps", wheel], folder)
    # What vbp depends on is seen where the tests have it, without the network; the vbp that is tested there is not,
    # as it is installed by a .pth file, and those are read only in an environment's own folder.
    (place,) = folder.rglob("site-packages")
    shared = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (place / "dependencies.pth").write_text("\n".join(shared))
    return python.parent


@pytest.fixture
def users_folder(tmp_path: Path) -> Path:
    for name, text in USERS_FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(command, folder: Path, **environment: str) -> str:
    """What it prints. It must succeed."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")} | environment
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_program_under_one_name(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        contents = {name: file.read(name) for name in names}
    (info,) = {name.partition("/")[0] for name in names} - {"vbp"}
    assert info.endswith(".dist-info")
    inside = {name for name in names if name.startswith("vbp/")}
    code = in_tree(lambda path: path.suffix == ".py")
    pictures_of_the_readme = [Path("assets") / p.name for p in (ROOT / "assets").glob("*.png")]
    data = in_tree(
        lambda path: (
            path.suffix != ".py"
            and path not in pictures_of_the_readme
            and not path.is_relative_to(SOURCES_OF_KERNELS)
        )
    )
    kernels = {name for name in inside if name.startswith("vbp/native/kernels_")}
    assert {name for name in inside if name.endswith(".py")} == set(code)
    assert {name for name in inside - kernels if not name.endswith(".py")} == set(data)
    for name, path in (code | data).items():
        assert contents[name] == path.read_bytes(), name
    for kind in (".svg", ".safetensors", ".mp4"):  # the rule above finds what it is about
        assert any(name.endswith(kind) for name in data), kind


def test_pyproject_names_every_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {
        str(PurePosixPath(name).parent).replace("/", ".")
        for name in in_tree(lambda p: p.name == "__init__.py")
    }
    without = in_tree(lambda p: p.suffix == ".py" and not (ROOT / p).with_name("__init__.py").exists())
    assert not without, "these folders have no __init__.py"
    assert sorted(settings["packages"]) == sorted(packages)


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_the_wheel_is_for_this_platform_and_holds_its_kernels(wheel):
    system = sysconfig.get_platform()
    assert wheel.stem.endswith("-py3-none-" + system.replace("-", "_").replace(".", "_"))
    sets = {"x86_64": ["avx2", "avx512", "sse2"], "aarch64": ["neon"]}.get(platform.machine(), ["generic"])
    with zipfile.ZipFile(wheel) as file:
        found = [name for name in file.namelist() if name.startswith("vbp/native/kernels_")]
    assert sorted(found) == [f"vbp/native/kernels_{name}.so" for name in sets]


def test_without_a_compiler_there_is_a_wheel_for_every_platform(tmp_path):
    source = copy_of_the_sources(tmp_path / "source")
    found = built(source, tmp_path / "out", CC="no-such-compiler")
    assert found.name.endswith("-py3-none-any.whl")
    assert "vbp runs without its own kernels, more slowly, as there is no C compiler here" in (
        (source / "log").read_text()
    )
    with zipfile.ZipFile(found) as file:
        assert not [name for name in file.namelist() if name.endswith(".so")]


# The first frame of the demo drive, by each network: how it was run, the angle, the masks and every layer's maps.
FIRST_FRAMES = """
import sys
from contextlib import suppress
from pathlib import Path
import numpy as np
from vbp import Engine, open_drive, open_network
from vbp.demo import demo_drive

found = {}
with open_drive(demo_drive()) as drive:
    picture = drive.frame(0)
for name in ("NetSVF", "NetHVF"):
    engine = Engine(open_network(name), "cpu")
    done = engine.run(picture, ("visualbackprop", "lrp"))
    found[name + " path"] = done.path
    for method in ("visualbackprop", "lrp"):
        found[f"{name} {method}"] = done.map(method)
    for k, value in enumerate(done.trace.values):
        if value.dim() == 4:
            found[f"{name} {k}"] = value.numpy()
    found[name + " angle"] = np.degrees(done.angle_rad)
    engine.close()
with suppress(OSError):  # other than Linux
    found["OpenMP"] = sorted({line.split()[-1] for line in open("/proc/self/maps") if "omp" in Path(line).name})
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def first_frames(scripts, tmp_path_factory):
    """Of the installed wheel, on a machine without a compiler: the file that FIRST_FRAMES writes, by VBP_NATIVE."""

    def made(native: str) -> dict[str, np.ndarray]:
        folder = tmp_path_factory.mktemp("machine")
        place = {"PATH": str(folder / "bin"), "CC": str(folder / "cc"), "XDG_CACHE_HOME": str(folder)}
        run([scripts / "python", "-c", FIRST_FRAMES, "out.npz"], folder, **place, VBP_NATIVE=native)
        assert [path.name for path in folder.rglob("*") if path.is_file()] == ["out.npz"]
        return dict(np.load(folder / "out.npz"))

    return made


@pytest.fixture(scope="module")
def by_torch(first_frames):
    return first_frames("0")


@pytest.mark.parametrize("native", ["", *INSTRUCTION_SETS])
def test_the_first_frame_is_by_the_wheels_own_kernels_and_equals_torchs(
    wheel, first_frames, by_torch, native
):
    with zipfile.ZipFile(wheel) as file:
        if native and f"vbp/native/kernels_{native}.so" not in file.namelist():
            pytest.skip(f"a wheel that is built here has no kernels for {INSTRUCTION_SETS[native][0]}")
    found = first_frames(native)
    path = str(found["NetSVF path"])
    if "no own kernels" in path and (native or COMPILER is None):
        pytest.skip(path)
    words = [INSTRUCTION_SETS[native][0]] if native else [words for words, _ in INSTRUCTION_SETS.values()]
    assert path in [f"own kernels ({name})" for name in words]
    assert "no own kernels, because VBP_NATIVE is 0" in str(by_torch["NetSVF path"])
    assert found.keys() == by_torch.keys()
    assert list(found.pop("OpenMP", [])) == list(by_torch.get("OpenMP", [])), "there is a second OpenMP"
    for key in [key for key in found if not key.endswith(" path")]:
        off, largest = np.abs(found[key] - by_torch[key]).max(), np.abs(by_torch[key]).max()
        assert off <= (1e-3 if key.endswith(" angle") else CLOSE * largest), key  # degrees, or of the largest


def test_an_installed_wheel_works(scripts, tmp_path):
    place = Path(run([scripts / "python", "-c", "import vbp; print(vbp.__file__)"], tmp_path).strip())
    assert place.is_relative_to(scripts.parent)
    assert "commands without a window" in run([scripts / "vbp", "--help"], tmp_path)
    assert "NetSVF" in run([scripts / "vbp", "models"], tmp_path)
    demo = "from vbp.demo import demo_drive; print(demo_drive())"
    demo = run([scripts / "python", "-c", demo], tmp_path).strip()
    assert Path(demo).is_relative_to(place.parent)
    assert "with a measured angle" in run([scripts / "python", "-m", "vbp", "info", demo], tmp_path)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["vbp"], "models.pilotnet:Net"),
        (["vbp"], "models.factory:make"),
        (["vbp"], "app:make"),
        (["python", "-m", "vbp"], "models.pilotnet:Net"),
    ],
)
def test_predict_with_the_users_network(scripts, users_folder, command, name):
    out = users_folder / "a.csv"
    words = ["predict", DEMO, "--model", name, "--spec", "pilotnet.toml", "--frames", "0:3", "-o", out]
    run([scripts / command[0], *command[1:], *words], users_folder, PYTHONPATH=".")
    table = np.genfromtxt(out, delimiter=",", names=True)
    np.testing.assert_allclose(table["predicted_deg"], [ANGLE_DEG] * 3, atol=1e-5)


def test_the_window_with_the_users_network(scripts, users_folder):
    words = [DEMO, "--model", "models.pilotnet:Net", "--spec", "pilotnet.toml", "--screenshot", "s.png"]
    run([scripts / "vbp", *words], users_folder, PYTHONPATH=".")
    assert (users_folder / "made").exists()
    assert (users_folder / "s.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_path_of_ones_own_the_folder_is_looked_in(scripts, users_folder):
    words = ["check-model", "app:make", "--spec", "pilotnet.toml"]
    assert "309 parameters" in run([scripts / "vbp", *words], users_folder)  # 4 x 3 x 5 x 5 + 4, 4 + 1
    assert (users_folder / "made").exists()
