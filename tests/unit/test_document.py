"""The document of what is open: written and read back as it was; anything else is one sentence."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbp.drives.base import OpenOptions
from vbp.edits.edit import ADJUSTMENTS, FILLS, Adjust, Box, Edits, Erase, Pixels, Stroke
from vbp.errors import VbpError
from vbp.overlay import DIALS, GROUNDS, STYLES, Overlay, Rect
from vbp.session.crops import MOST, ChosenCrop
from vbp.session.document import (
    READERS,
    SECOND_VIEWS,
    SUFFIX,
    VERDICTS,
    VERSION,
    Document,
    ShownMethod,
    from_text,
    load,
    save,
    to_text,
)
from vbp.session.fingerprint import Fingerprint, fingerprint
from vbp.session.note import Note, in_order, one_line, placed

# Names of files may hold bytes that are no UTF-8, which Python keeps as lone surrogates (PATHS).
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
PATHS = st.binary(max_size=40).map(lambda name: os.fsdecode(name.replace(b"\0", b"")))
NUMBERS = st.floats(0, 1e12)
FRAMES = st.integers(0, 2**63 - 1)


@st.composite
def crops(draw: st.DrawFn) -> ChosenCrop:
    width, height = draw(st.integers(1, MOST)), draw(st.integers(1, MOST))
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    rect = Rect(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))
    return ChosenCrop(rect, *draw(st.sampled_from([(width, height), (0, 0)])))


STAMPS = st.none() | st.integers(-(2**63), 2**63 - 1)
WORDS = st.text(max_size=40).map(one_line)


@st.composite
def notes(draw: st.DrawFn) -> Note:
    frame, end = sorted(draw(st.tuples(FRAMES, FRAMES)))
    return Note(frame, end, draw(STAMPS), draw(STAMPS), draw(WORDS), draw(WORDS), draw(WORDS))


@st.composite
def overlays(draw: st.DrawFn) -> Overlay:
    numbers = {
        name: draw(
            st.integers(int(dial.low), int(dial.high)) if dial.whole else st.floats(dial.low, dial.high)
        )
        for name, dial in DIALS.items()
    }
    switches = {name: draw(st.booleans()) for name in ("shown", "fade", "fixed", "outline", "bar")}
    return Overlay(
        style=draw(st.sampled_from(STYLES)),
        ground=draw(st.sampled_from(list(GROUNDS))),
        **numbers,
        **switches,
    )


@st.composite
def edits(draw: st.DrawFn) -> Edits:
    place, length, whole = st.floats(-1e6, 1e6), st.floats(0, 4096), st.integers(-(10**6), 10**6)
    regions = (
        st.builds(Stroke, st.lists(st.tuples(place, place), min_size=1, max_size=3).map(tuple), length)
        | st.builds(Box, place, place, length, length)
        | st.builds(Pixels, st.lists(st.tuples(whole, whole, st.integers(1, 10**6)), max_size=3).map(tuple))
    )
    erase = st.builds(Erase, regions, st.sampled_from(list(FILLS)), st.booleans())
    adjust = st.sampled_from(list(ADJUSTMENTS.items())).flatmap(
        lambda one: st.builds(Adjust, st.just(one[0]), st.floats(*one[1][:2]), st.integers(0, 2**32 - 1))
    )
    return Edits(tuple(draw(st.lists(erase | adjust, max_size=3))), draw(st.booleans()))


METHODS = st.builds(
    ShownMethod, TEXTS, st.dictionaries(TEXTS, st.floats(allow_nan=False, allow_infinity=False), max_size=2)
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    part = sorted(draw(st.tuples(FRAMES, FRAMES)))
    a, b = (draw(st.sampled_from([frame, None])) for frame in part)
    said = st.none() | TEXTS
    return Document(
        drive=draw(PATHS),
        fingerprint=draw(st.none() | st.builds(Fingerprint, FRAMES, TEXTS)),
        options=OpenOptions(draw(said), draw(said), draw(said), draw(NUMBERS)),
        min_speed=draw(NUMBERS),
        networks=tuple(draw(st.lists(PATHS, max_size=4))),
        crop=draw(st.none() | crops()),
        frame=draw(st.none() | FRAMES),
        a=a,
        b=b,
        notes=in_order(draw(st.lists(notes(), max_size=4))),
        looping=draw(st.booleans()),
        verdicts=draw(st.dictionaries(TEXTS, st.sampled_from(VERDICTS), max_size=4)),
        edits=draw(edits()),
        layout=draw(TEXTS),
        overlay=draw(st.none() | overlays()),
        methods=draw(st.dictionaries(TEXTS, METHODS, max_size=2)),
        target=draw(TEXTS),
        second_view=draw(st.sampled_from(("", *SECOND_VIEWS))),
    )


@settings(max_examples=60)
@given(documents())
def test_what_is_written_is_read_back(document):
    text = to_text(document)
    assert text.isascii()
    assert from_text(text, "it") == document


def test_every_field_is_written_and_has_a_reader():
    assert set(READERS) == {field.name for field in dataclasses.fields(Document)}


def test_a_file_is_read_back_and_replaced_but_no_other_one_is(tmp_path):
    path = tmp_path / f"a{SUFFIX}"
    first, second = Document(drive="/drives/a b", frame=3), Document(networks=("NetSVF", "x.pt2?spec=x.toml"))
    for document in (first, second):
        save(document, path)
        assert load(path) == document
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(VbpError, match="was not written by vbp"):
        save(first, other)
    assert other.read_text() == "mine"
    with pytest.raises(VbpError, match="is no folder"):
        save(first, tmp_path / "missing" / path.name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.vbp.json", "notes.txt"]


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
)
def test_a_value_of_another_kind_is_one_sentence_or_one_that_is_written_back(value):
    """Whatever stands in a field: it is refused in a sentence that names it, or what was read can be written."""
    for key in READERS:
        found = json.loads(to_text(Document())) | {key: value}
        try:
            document = from_text(json.dumps(found), "the file")
        except VbpError as error:
            assert str(error).startswith("the file is damaged: ") and key in str(error)
        else:
            assert from_text(to_text(document), "it") == document


def changed(**values: object) -> str:
    return json.dumps(json.loads(to_text(Document())) | values)


STRANGE = {
    "empty": ("", "it is no JSON"),
    "cut off": (to_text(Document())[:-2], "it is no JSON"),
    "deep": ("[" * 100_000, "it is no JSON"),
    "a list": ("[]", "does not say"),
    "another program's": ('{"version": 1}', "does not say"),
    "of a later version": (changed(version=4, more=1), "is of version 4, and this vbp reads versions 1 to 3"),
    "without a version": (changed(version=None), "is of version None"),
    "true is no version": (changed(version=True), "is of version True"),
    "an unknown field": (changed(colour="red"), "'colour'"),
    "a path with a zero": (changed(drive="/a\0b"), "'drive'"),
    "a negative frame": (changed(frame=-1), "'frame'"),
    "half a frame": (changed(frame=1.5), "'frame'"),
    "a frame beyond all": (changed(frame=2**63), "'frame'"),
    "a number that is none": (changed(min_speed=float("nan")), "'min_speed'"),
    "a number beyond all": (changed(min_speed=10**400), "'min_speed'"),
    "networks as one text": (changed(networks="NetSVF"), "'networks'"),
    "options cut off": (changed(options={"camera": None}), "'options'"),
    "notes without frames": (changed(notes=[{"name": "a"}]), "'notes'"),
    "a note that ends early": (changed(notes=[asdict(Note(5, 4))]), "'notes'"),
    "a damaged fingerprint": (changed(fingerprint={"size": -1, "sha256": ""}), "'fingerprint'"),
    "damaged bookmarks of before": (
        '{"format": "vbp session", "version": 1, "bookmarks": ["a"]}',
        "'bookmarks'",
    ),
    "a part that ends early": (changed(a=5, b=4), "ends before it begins"),
    "a crop without a size": (changed(crop={"rect": {"x": 0}, "of_width": 4, "of_height": 4}), "'crop'"),
    "a crop beyond its picture": (
        changed(crop={"rect": {"x": 1, "y": 0, "width": 4, "height": 4}, "of_width": 4, "of_height": 4}),
        "'crop'",
    ),
    "an overlay that cannot be": (changed(overlay={"opacity": 7}), "'overlay'"),
    "an overlay of a later version": (changed(overlay={"glitter": True}), "'overlay'"),
    "an overlay of another kind": (changed(overlay={"smooth": 1.5}), "'overlay'"),
    "methods as a list": (changed(methods=["lrp"]), "'methods'"),
    "a method's number that is none": (
        changed(methods={"lrp": {"method": "lrp", "numbers": {"eps": float("inf")}}}),
        "'methods'",
    ),
    "a method without numbers": (changed(methods={"lrp": {"method": "lrp"}}), "'methods'"),
    "edits that are none": (changed(edits={"edits": [{"erase": "all"}]}), "'edits'"),
    "a view that is none": (changed(second_view=["beside"]), "'second_view'"),
    "an empty crop": (
        changed(crop={"rect": {"x": 0, "y": 0, "width": 0, "height": 4}, "of_width": 4, "of_height": 4}),
        "'crop'",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_content_is_one_sentence(tmp_path, name):
    text, said = STRANGE[name]
    path = tmp_path / f"a{SUFFIX}"
    path.write_text(text)
    with pytest.raises(VbpError) as caught:
        load(path)
    assert said in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_or_no_file_is_one_sentence(tmp_path):
    path = tmp_path / f"a{SUFFIX}"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(VbpError, match="no text in ASCII"):
        load(path)
    path.write_bytes(b" " * (16 * 2**20 + 1))
    with pytest.raises(VbpError, match="larger than the 16 MiB"):
        load(path)
    for wrong in (tmp_path, tmp_path / "missing"):
        with pytest.raises(VbpError, match="cannot be read"):
            load(wrong)


def test_a_session_takes_no_file_of_its_recording(tmp_path):
    recording = tmp_path / "drive"
    recording.mkdir()
    frames = recording / "frames.csv"
    frames.write_text("1,2")
    with pytest.raises(VbpError, match="is a file of the recording"):
        save(Document(drive=str(recording)), Path(frames), force=True)
    assert frames.read_text() == "1,2"


def test_half_a_character_is_damage():
    for key, value in (("drive", "/\ud800"), ("networks", ["\udfff"])):
        found = json.loads(to_text(Document())) | {key: value}
        with pytest.raises(VbpError, match=f"what it says of '{key}' is not understood"):
            from_text(json.dumps(found), "the file")


# --- beside the recording, on another machine -----------------------------------------------------------


@settings(max_examples=40)
@given(documents())
def test_a_file_that_is_read_and_written_again_has_the_same_bytes(document):
    folder = Path("/of/june")
    text = to_text(dataclasses.replace(document, drive="/of/june/a.bag", networks=("NetSVF",)), folder)
    assert to_text(from_text(text, "it", folder), folder) == text


def test_paths_go_with_the_file(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    networks = ("NetSVF", f"{here}/my net.pt2?spec={tmp_path}/a.toml", "package.of_mine:make")
    for folder in (here, there):
        folder.mkdir()
    save(Document(drive=str(here / "drive"), networks=networks), here / f"a{SUFFIX}")
    text = (here / f"a{SUFFIX}").read_text()
    assert str(tmp_path) not in text
    (there / f"a{SUFFIX}").write_text(text)
    found = load(there / f"a{SUFFIX}")
    assert found.drive == str(there / "drive")
    assert found.networks == ("NetSVF", f"{there}/my net.pt2?spec={tmp_path}/a.toml", "package.of_mine:make")
    save(found, there / f"a{SUFFIX}")
    assert (there / f"a{SUFFIX}").read_text() == text


def test_a_session_of_the_second_version_opens_and_leaves_the_screen_as_it_is():
    found = json.loads(to_text(Document("/a.bag", frame=3, layout="AAA=")))
    for later in ("edits", "overlay", "methods", "target", "second_view"):
        found.pop(later)
    assert from_text(json.dumps(found | {"version": 2}), "it") == Document("/a.bag", frame=3, layout="AAA=")
    assert VERSION == 3


def test_a_session_that_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(VbpError, match="more than the 16 MiB"):
        save(Document(layout="A" * 16 * 2**20), tmp_path / f"a{SUFFIX}")
    assert not list(tmp_path.iterdir())


def test_a_session_of_the_first_version_opens_with_all_that_was_said():
    text = json.dumps(
        {
            "format": "vbp session",
            "version": 1,
            "drive": "/of/june/a.bag",
            "bookmarks": [9, 2],
            "notes": {"2": "here", "30": "there"},
        }
    )
    found = from_text(text, "it", Path("/elsewhere"))
    assert found.drive == "/of/june/a.bag"
    assert found.notes == (Note(2, 2, text="here"), Note(9, 9), Note(30, 30, text="there"))


def test_a_fingerprint_knows_a_copy_and_a_changed_file(tmp_path):
    a, b = tmp_path / "a.bin", tmp_path / "b.bin"
    a.write_bytes(b"x" * 10**6)
    b.write_bytes(a.read_bytes())
    assert fingerprint(a) == fingerprint(b) is not None
    b.write_bytes(a.read_bytes()[:-1] + b"y")
    assert fingerprint(a) != fingerprint(b)
    before = fingerprint(tmp_path)
    (tmp_path / "a.vbp.json").write_text("a session beside it")
    assert fingerprint(tmp_path) == before
    (tmp_path / "c.bin").write_text("one more")
    assert fingerprint(tmp_path) != before
    assert fingerprint(tmp_path / "missing") is None


def test_notes_stand_at_their_time_in_a_recording_of_another_rate():
    times = np.arange(10, dtype=np.int64) * 100 + 5000
    note = Note(8, 9, 5800, 5900, "a")
    assert placed([note], times) == ([note], [])
    assert placed([note], times[::2]) == ([dataclasses.replace(note, frame=4, end=4)], [])
    assert placed([note], np.delete(times, range(3, 6))) == ([dataclasses.replace(note, frame=5, end=6)], [])
    assert placed([note], times[:5]) == ([], [note])
    assert placed([Note(3, 3)], times) == ([Note(3, 3, 5300, 5300)], [])  # a bookmark of before
    assert placed([note], times * 2, by_frame=True)[0] == [Note(8, 9, 11600, 11800, "a")]
    assert placed([note, Note(0, 0)], times[:0]) == ([], [note, Note(0, 0)])
