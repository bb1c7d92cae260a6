"""Every frame of a run, decoded and prepared once: a file of uint8 pictures, mapped into memory."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from vbp.drives.base import Drive
from vbp.errors import FrameError, VbpError
from vbp.models.atomic import atomic_write
from vbp.models.spec import NetworkSpec
from vbp.models.tensors import open_tensors
from vbp.preprocess import prepare
from vbp.training.choosing import Chosen
from vbp.training.files import reporting_disk_errors
from vbp.training.task import task_of

PICTURES, TABLE, DIGEST = "pictures.u8", "frames.safetensors", "vbp.digest"
KEEP_FREE = 256 * 2**20

OnFrame = Callable[[int, int], None]  # (frames done, frames in all)


@dataclass(frozen=True)
class Frames:
    """The frames of all drives of a run.

    pictures: (N, h, w) or (N, h, w, 3) uint8, read-only, on disk: what is not read takes no memory.
    targets: (N,) what is to be learnt, as the network's task says. test: (N,) bool. drive, index: (N,) int64,
    which drive and which of its frames. gaps: frames that could not be decoded and are left out.
    digest: says whether these are the very frames that a run began with.
    """

    pictures: NDArray[np.uint8]
    targets: NDArray[Any]
    test: NDArray[np.bool_]
    drive: NDArray[np.int64]
    index: NDArray[np.int64]
    gaps: int
    digest: str

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return np.flatnonzero(~self.test).astype(np.int64)

    @property
    def test_rows(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.test).astype(np.int64)


def input_shape(spec: NetworkSpec) -> tuple[int, ...]:
    size = (spec.input_height, spec.input_width)
    return size if spec.channels == 1 else (*size, spec.channels)


def is_decoded(folder: Path) -> bool:
    """Whether `decode` came to its end here."""
    return (folder / TABLE).is_file()


def decode(
    drives: Sequence[Drive],
    chosen: Sequence[Chosen],
    spec: NetworkSpec,
    folder: Path,
    on_frame: OnFrame = lambda done, total: None,
) -> Frames:
    """Decode and prepare the chosen frames into `folder`, once; a folder that is whole is taken as it is.

    The pictures are written in order, never through a map: a full disk is then an error and not a crash.
    Raises VbpError for a disk without room, and where frames cannot be decoded.
    """
    if is_decoded(folder):
        return load(folder, spec)
    shape, task = input_shape(spec), task_of(spec)
    total = sum(len(c.train) + len(c.test) for c in chosen)
    with reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        needed, free = total * int(np.prod(shape)), shutil.disk_usage(folder).free
        if needed > free - KEEP_FREE:
            raise VbpError(
                f"{folder} has {free / 2**30:.1f} GiB free, and the {total} prepared frames "
                f"need {needed / 2**30:.1f} GiB; give a run folder on a larger disk"
            )
        rows: list[tuple[int, int, Any, bool]] = []
        digest = hashlib.sha256()
        with atomic_write(folder / PICTURES) as temporary, temporary.open("wb") as file:
            seen = 0
            for number, (drive, frames) in enumerate(zip(drives, chosen, strict=True)):
                held, targets = set(frames.test.tolist()), task.targets(drive, spec)
                for i in np.union1d(frames.train, frames.test).tolist():
                    seen += 1
                    try:
                        picture, _ = prepare(drive.frame(i), spec)
                    except FrameError:
                        continue
                    file.write(picture.data)
                    digest.update(picture.data)
                    rows.append((number, i, targets[i], i in held))
                    on_frame(seen, total)
                drive.forget()  # of forty drives each would keep its 256 MiB to the end of the run
        if not rows:
            raise VbpError(f"not one of the {total} chosen frames can be decoded")
        table: dict[str, NDArray[Any]] = {
            "drive": np.array([r[0] for r in rows], dtype=np.int64),
            "index": np.array([r[1] for r in rows], dtype=np.int64),
            task.target: np.array([r[2] for r in rows]),
            "test": np.array([r[3] for r in rows], dtype=np.uint8),
            "gaps": np.array([total - len(rows)], dtype=np.int64),
        }
        for array in table.values():
            digest.update(array.data)
        with atomic_write(folder / TABLE) as temporary:
            save_file(table, temporary, metadata={DIGEST: digest.hexdigest()})
    return load(folder, spec)


def load(folder: Path, spec: NetworkSpec) -> Frames:
    """Frames written by `decode`."""
    with open_tensors(folder / TABLE, "numpy") as file:
        table = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        digest = (file.metadata() or {}).get(DIGEST, "")
    shape = (len(table["index"]), *input_shape(spec))
    if (folder / PICTURES).stat().st_size != int(np.prod(shape)):
        raise VbpError(f"{folder} is damaged: its pictures and its table differ; delete it and resume")
    pictures = np.memmap(folder / PICTURES, dtype=np.uint8, mode="r", shape=shape)
    return Frames(
        pictures,
        table[task_of(spec).target],
        table["test"].astype(np.bool_),
        table["drive"],
        table["index"],
        int(table["gaps"][0]),
        digest,
    )
