"""Compiles the kernels of vbp_core/native/c, where there is a C compiler; all else is said in pyproject.toml.

They are plain libraries, which `vbp.native.library` loads with ctypes: one for each set of instructions, among which the program
chooses when it runs. OpenMP's functions are left open in them, as they are to be those of the runtime that PyTorch brings: a
second one would have threads of its own on the same cores.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from setuptools import Command, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

SOURCES = Path("vbp_core/native/c")
ON_MAC = sys.platform == "darwin"
# Apple's compiler knows OpenMP, but not by its usual option.
FLAGS = (
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fPIC",
    *(("-Xclang",) if ON_MAC else ()),
    "-fopenmp",
)
LINK = ("-bundle", "-undefined", "dynamic_lookup") if ON_MAC else ("-shared",)
X86 = {
    "sse2": (),
    "avx2": ("-mavx2", "-mfma"),
    # Those that PyTorch, which says whether they are there, asks for.
    "avx512": (
        *(f"-mavx512{kind}" for kind in ("f", "bw", "dq", "vl")),
        "-mfma",
        "-mprefer-vector-width=512",
    ),
}
INSTRUCTION_SETS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": X86,
    "aarch64": {"neon": ()},
    "arm64": {"neon": ()},
}


class BuildKernels(Command):
    """`build_kernels`: a step of `build`. What cannot be compiled is said, and left out."""

    description = "compile the kernels where there is a C compiler"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib: str | None = None
        self.build_base: str | None = None
        self.made: list[str] = []

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"), ("build_base", "build_base"))

    def run(self) -> None:
        place = Path(self.build_lib or "", "vbp", "native")
        for old in place.glob("kernels_*.so"):  # of an earlier run in the same folder
            old.unlink()
        compiler = _compiler()
        if isinstance(compiler, Exception):
            self.warn(f"vbp runs without its own kernels, more slowly, as {compiler}")
            return
        sets = INSTRUCTION_SETS.get(_machine(), {"generic": ()})
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, library in zip(
                sets, pool.map(lambda flags: self._compiled(compiler, flags), sets.values()), strict=True
            ):
                if isinstance(library, Exception):
                    self.warn(f"the kernels for {name} are left out: {library}")
                    continue
                place.mkdir(parents=True, exist_ok=True)
                target = place / f"kernels_{name}.so"
                shutil.copyfile(library, target)
                self.made.append(str(target))

    def _compiled(self, compiler: list[str], flags: tuple[str, ...]) -> Path | Exception:
        """The library, which may be that of an earlier run, or why there is none."""
        command = [*compiler, *FLAGS, *flags]
        contents = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
        key = hashlib.sha256(repr((command, LINK)).encode() + contents).hexdigest()[:16]
        folder = Path(self.build_base or "", "kernels")
        library, part = folder / f"{key}.so", folder / f"{key}.{os.getpid()}"
        if library.exists():
            return library
        folder.mkdir(parents=True, exist_ok=True)
        objects = part.with_suffix(".o")
        try:
            _run([*command, "-c", str(SOURCES / "kernels.c"), "-o", str(objects)])
            _run([*compiler, *LINK, str(objects), "-o", str(part), "-lm"])
            part.replace(library)
        except (OSError, subprocess.SubprocessError) as error:
            return error
        finally:
            objects.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
        return library

    def get_source_files(self) -> list[str]:
        return [path.as_posix() for path in sorted(SOURCES.iterdir())]

    def get_outputs(self) -> list[str]:
        return self.made

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class Build(build):
    sub_commands: ClassVar[list[Any]] = [*build.sub_commands, ("build_kernels", None)]


class Wheel(bdist_wheel):
    """For this platform, but for any Python, where there are kernels in it; else for any platform."""

    def run(self) -> None:
        self.run_command("build")  # not run again
        if self.get_finalized_command("build_kernels").made:
            self.root_is_pure = False
            self.distribution.has_ext_modules = lambda: True  # so that all goes where libraries go
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, system = super().get_tag()
        if self.root_is_pure:
            return python, abi, system
        return "py3", "none", system.replace("universal2", _machine())


def _machine() -> str:
    """The processor that is built for, which on a Mac need not be that of the machine."""
    name = sysconfig.get_platform().rpartition("-")[2]
    return platform.machine() if name == "universal2" else name


def _compiler() -> list[str] | Exception:
    """The C compiler with the options that it always needs, or why there is none."""
    if sys.platform == "win32":
        return OSError("they have not been written for Windows")
    named = os.environ.get("CC", "").split()
    but = f" ({' '.join(named) or 'gcc'})"
    for words in [named] if named else [["gcc"], ["cc"], ["clang"]]:
        found = shutil.which(words[0])
        if found is None:
            continue
        try:
            version = _run([found, "--version"])
        except (OSError, subprocess.SubprocessError):
            continue
        # PyTorch's OpenMP is GNU's on Linux, in which clang's code does not find its functions.
        if not ON_MAC and "clang" in version:
            but = " but clang, whose OpenMP is not PyTorch's"
            continue
        return [found, *words[1:], *(os.environ.get("ARCHFLAGS", "").split() if ON_MAC else ())]
    return OSError(f"there is no C compiler here{but}")


def _run(command: list[str]) -> str:
    done: Any = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise OSError(f"{command[0]} failed ({lines[0] if lines else f'exit status {done.returncode}'})")
    return str(done.stdout)


setup(cmdclass={"build": Build, "build_kernels": BuildKernels, "bdist_wheel": Wheel})
