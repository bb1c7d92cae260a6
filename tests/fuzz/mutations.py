"""What is done to a good input: as little as a bit, as much as half of it, and what a thoughtful enemy would write."""

from __future__ import annotations

import os
import random
import re
import shutil
from pathlib import Path

MOST = 2**22  # bytes of a changed file

NUMBERS = (
    b"0", b"-1", b"1e308", b"-1e400", b"nan", b"inf", b"1e999999999", b"0x7fffffff", b"0.1.2", b"1,5", b"2**9",
    str(2**31).encode(), str(2**32 - 1).encode(), str(2**63 - 1).encode(), str(-(2**63)).encode(), str(2**64).encode(),
    b"9" * 401, b"1" * 5001, b"00000000000000000000001", b"253402300800", b"99999999999999999", b"1e18", b"1e-320",
)  # fmt: skip
TEXTS = (
    b"\xed\xb2\x80", b"\\ud800", b"\xff\xfe", b"\0", b"\x1b[31m", b"../../../etc/passwd", b"/dev/zero", b"\xef\xbb\xbf",
    b"A" * 70_000, b"\n" * 3000, b"[" * 5000, b'{"a":' * 3000, b'"', b"'", b";", b",", b"\t", b"\r", b"%n%s", b"a/b\\..\\c",
    "\u202e\U0001f600".encode(), b"null", b"true", b"[]", b"{}", b'""', b"2300-01-01 00:00:00", b"0001-01-01 00:00:00",
)  # fmt: skip
WORDS = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\x80\0\0\0",
    b"\1\0\0\0",
)


def mutate(source: Path, target: Path, chance: random.Random) -> str:
    """A changed copy of the folder `source`; what was done, in words."""
    shutil.copytree(source, target, symlinks=True)
    files = sorted(p for p in target.rglob("*") if p.is_file())
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        file = chance.choice(files)
        name = file.relative_to(target).as_posix()
        if chance.random() < 0.03:
            done.append(f"{name}: {_change_place(file, chance)}")
            files = sorted(p for p in target.rglob("*") if p.is_file())
            if not files:
                break
            continue
        data = file.read_bytes()
        change = chance.choice(_CHANGES if _is_text(data) else _CHANGES[:8])
        changed = change(data, chance)[:MOST]
        file.write_bytes(changed)
        done.append(f"{name}: {change.__name__.strip('_')}")
    return "; ".join(done)


def _is_text(data: bytes) -> bool:
    return data.count(b"\0") == 0 and sum(c < 128 for c in data[:4096]) * 10 > 9 * len(data[:4096])


def _change_place(file: Path, chance: random.Random) -> str:
    what = chance.choice(("removed", "a pipe", "a folder", "empty", "a link out"))
    file.unlink()
    if what == "a pipe":
        os.mkfifo(file)
    elif what == "a folder":
        file.mkdir()
    elif what == "empty":
        file.touch()
    elif what == "a link out":
        file.symlink_to("/etc/hostname")
    return what


def _at(data: bytes, chance: random.Random) -> int:
    """A place; headers and trailers matter more than what is between."""
    n = max(len(data), 1)
    where = chance.random()
    if where < 0.4:
        return chance.randrange(min(n, 512))
    return n - 1 - chance.randrange(min(n, 512)) if where < 0.55 else chance.randrange(n)


def _bits(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        if out:
            out[_at(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _bytes(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    return data[:at] + chance.randbytes(chance.choice((1, 2, 4, 16))) + data[at + chance.choice((0, 1, 4)) :]


def _word(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    word = chance.choice(WORDS) * chance.choice((1, 1, 2))
    return data[:at] + word + data[at + len(word) :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: _at(data, chance)]


def _leave_out(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    return data[:at] + data[at + chance.choice((1, 7, 64, 1000)) :]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    part = data[at : at + chance.choice((1, 8, 100, 3000))]
    return data[:at] + part * chance.choice((2, 3, 20, 300)) + data[at + len(part) :]


def _splice(data: bytes, chance: random.Random) -> bytes:
    a, b = _at(data, chance), _at(data, chance)
    return data[:a] + data[b:]


def _text(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    return data[:at] + chance.choice(TEXTS) + data[at + chance.choice((0, 0, 4)) :]


def _number(data: bytes, chance: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", data))
    if not found:
        return _text(data, chance)
    match = chance.choice(found)
    return data[: match.start()] + chance.choice(NUMBERS) + data[match.end() :]


def _word_of_text(data: bytes, chance: random.Random) -> bytes:
    found = list(re.finditer(rb'"[^"\n]*"|\w+', data))
    if not found:
        return _text(data, chance)
    match = chance.choice(found)
    return data[: match.start()] + chance.choice((*TEXTS, *NUMBERS)) + data[match.end() :]


def _line(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    k, n = chance.randrange(len(lines)), chance.randrange(len(lines))
    if chance.random() < 0.5:
        lines[k], lines[n] = lines[n], lines[k]
    else:
        lines[k : k + 1] = [lines[k]] * chance.choice((0, 2, 500))
    return b"\n".join(lines)


# The first eight suit every file, the others a text
_CHANGES = (
    _bits,
    _bytes,
    _word,
    _cut,
    _leave_out,
    _repeat,
    _splice,
    _text,
    _number,
    _number,
    _word_of_text,
    _word_of_text,
    _line,
)
