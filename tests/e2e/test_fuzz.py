"""A few hundred changed inputs, always the same; `python -m tests.fuzz --minutes 20` tries others."""

from __future__ import annotations

import os

import pytest

from fuzz.campaign import fuzz

INPUTS = 300


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and limits of memory")
def test_no_changed_input_is_more_than_an_error_of_one_line(tmp_path):
    tally = fuzz(tmp_path, tmp_path / "findings", first=0, inputs=INPUTS, seconds=1e9)
    assert tally.tried.total() == INPUTS
    assert len(tally.tried) == 9, "every kind of input is among them"
    assert tally.findings == {}
