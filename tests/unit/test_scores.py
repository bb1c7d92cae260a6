"""Scores in words."""

from __future__ import annotations

import numpy as np

from roadmaker import write_drive
from vbp.cli.main import main
from vbp.scores import score, score_words


def test_a_correlation_that_cannot_be_is_no_number() -> None:
    words = score_words(score(np.array([0.1, 0.1, 0.1]), np.array([0.0, 0.1, 0.2])))
    assert "no correlation (nothing varies) over 3 labelled frames" in words
    assert words.startswith("RMSE 4.68° (0.0816 rad), mean error 0.00°") and "nan" not in words
    varied = np.array([0.1, 0.2, 0.4])
    assert "correlation 1.000 over 3" in score_words(score(varied, 2 * varied))


def test_a_figure_of_a_damaged_picture_says_so_once(tmp_path, capsys) -> None:
    drive = write_drive(tmp_path / "road", count=6)
    sorted(drive.rglob("*.png"))[3].write_bytes(b"no picture")
    assert (
        main(["figure", str(drive), "--model", "NetSVF", "--frame", "3", "-o", str(tmp_path / "f.png")]) == 2
    )
    said = capsys.readouterr().err
    assert said.count("cannot be shown") == 1 and "frame 3" in said
