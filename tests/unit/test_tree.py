"""The tree: no file is too long to be read at once, and what can be added is one file and one line."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import vbp
from picturemaker import RGB, picture
from vbp.cli.main import COMMANDS, main
from vbp.drives import opening
from vbp.evidence.registry import EXPERIMENTS
from vbp.explain import registry
from vbp.export.registry import WRITERS
from vbp.live.angles import SOURCES
from vbp.models.known import available

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST = 400  # lines


def long_files() -> set[str]:
    files = [
        path
        for folder in ("app", "vbp_core", "models", "tests")
        for kind in ("py", "c", "h")
        for path in (REPOSITORY / folder).rglob(f"*.{kind}")
    ]
    assert len(files) > 300  # it looks where the files are
    long = (p for p in files if len(p.read_text(encoding="utf-8").splitlines()) > LONGEST)
    return {p.relative_to(REPOSITORY).as_posix() for p in long}


def test_no_file_is_over_400_lines() -> None:
    assert long_files() == set()


# --- every entry has its file, and every file its entry -----------------------------------------------


def files_with(folder: str, *functions: str) -> set[str]:
    """The modules of a folder of vbp_core that define all of these functions."""
    return {
        f"vbp.{folder}.{path.stem}"
        for path in (REPOSITORY / "vbp_core" / folder).glob("*.py")
        if all(f"\ndef {name}(" in path.read_text(encoding="utf-8") for name in functions)
    }


@pytest.mark.parametrize(
    ("modules", "folder", "functions"),
    [
        ({f.module for f in opening.FORMATS}, "drives", ("sniff", "open")),
        (set(WRITERS.values()), "export", ("write",)),
        (set(SOURCES.values()), "live", ("open",)),
        ({module for module, _ in COMMANDS.values()}, "cli", ("add_arguments", "run")),
    ],
    ids=["FORMATS", "WRITERS", "SOURCES", "COMMANDS"],
)
def test_the_entries_are_the_files(modules: set[str], folder: str, functions: tuple[str, ...]) -> None:
    assert modules == files_with(folder, *functions)
    for module in modules:
        assert all(callable(getattr(import_module(module), name)) for name in functions)


def test_names_are_given_once() -> None:
    formats = [f.name for f in opening.FORMATS]
    for names in (formats, [f.module for f in opening.FORMATS], available()):
        assert len(set(names)) == len(names)
    for entries in (registry.METHODS, EXPERIMENTS):
        assert all(entry.name == name for name, entry in entries.items())


def test_every_method_takes_what_its_entry_says() -> None:
    for method in registry.METHODS.values():
        taken = inspect.signature(method.function).parameters
        assert {"trace", "target"} <= set(taken)
        numbers = {p.name for p in method.parameters}
        assert numbers <= set(taken)
        assert inspect.getmodule(method.function).__name__.startswith("vbp.explain.")


def test_every_experiment_is_the_run_of_a_file() -> None:
    named = []
    for experiment in EXPERIMENTS.values():
        # experiment.run is a lambda over the file that it names
        (name,) = (c for c in experiment.run.__code__.co_consts if isinstance(c, str))
        assert f"vbp.evidence.{name}" in files_with("evidence", "run")
        named.append(name)
    assert len(set(named)) == len(EXPERIMENTS)


# --- one more is one file and one line ----------------------------------------------------------------


@pytest.fixture
def new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a module's text where it can be imported by its name."""

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))

    return write


def test_a_format_is_one_file_and_one_line(tmp_path: Path, monkeypatch, new_file) -> None:
    new_file(
        "one_more_format",
        "from vbp.drives import images\n"
        "def sniff(path): return path.suffix == '.one-more'\n"
        "def open(path, options): return images.open(path.with_suffix('.png'), options)\n",
    )
    more = opening.Format("one-more", "one_more_format", "a .one-more file")
    path = tmp_path / "a.one-more"
    path.write_text("what it holds", encoding="utf-8")
    with pytest.raises(vbp.DriveError):
        vbp.open_drive(path)
    picture(path.with_suffix(".png"))
    monkeypatch.setattr(opening, "FORMATS", (*opening.FORMATS, more))
    with vbp.open_drive(path) as drive:
        np.testing.assert_array_equal(drive.frame(0), RGB)
    assert opening.accepted()["one-more"] == "a .one-more file"


def test_a_method_is_one_function_and_one_entry(monkeypatch) -> None:
    def upper_half(trace, target, share=0.5, strength=None):
        relevance = torch.zeros(trace.input.shape[0], *trace.input.shape[2:])
        relevance[:, : int(relevance.shape[1] * share)] = 1
        return relevance

    parameters = (registry.Parameter("share", "share", 0.5, 0, 1),)
    more = registry.Method("upper-half", "Upper half", upper_half, parameters=parameters)
    monkeypatch.setitem(registry.METHODS, more.name, more)
    engine = vbp.Engine(vbp.open_network("NetHVF"), "cpu")
    result = engine.run(np.full((480, 640, 3), 90, np.uint8), ("upper-half",))
    found = result.map("upper-half")
    assert found[: len(found) // 2].all() and not found[len(found) // 2 :].any()


def test_a_command_is_one_file_and_one_line(monkeypatch, new_file, capsys) -> None:
    new_file(
        "one_more_command",
        "def add_arguments(parser): parser.add_argument('word')\n"
        "def run(args): print('said', args.word); return 0\n",
    )
    monkeypatch.setitem(COMMANDS, "one-more", ("one_more_command", "says a word"))
    assert main(["one-more", "hello"]) == 0
    assert capsys.readouterr().out == "said hello\n"
