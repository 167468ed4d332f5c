"""The line at the end of a run, from which docs/catalogue.md calculates what a catalogue costs."""

import time
from pathlib import Path

from sordino.cli.predict import Count

PAGE = Path(__file__).parents[3] / "docs" / "catalogue.md"


def test_the_line_at_the_end_is_the_one_that_the_page_explains(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    count = Count(600)
    for number in range(600):
        count.note(f"{number}.mp3", 210.0, None)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + 0.225 * 3.5 * 600)  # at .225 s for a minute of sound
    assert count.told() in PAGE.read_text(encoding="utf-8").splitlines()


def test_what_failed_is_no_track_of_the_million(monkeypatch, capsys):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    count = Count(4)
    for path in "ab":
        count.note(path, 1800.0, None)
    for path in "cd":
        count.note(path, 0.0, f"{path}: not a sound")
    monkeypatch.setattr(time, "monotonic", lambda: 36.0)  # an hour of sound in .01 h
    told = "4 files (2 failed), 1.00 h of sound in 0.6 min: 100 hours an hour; a million such would take 5,000 h here"
    assert count.told() == told
    assert capsys.readouterr().err == "sordino: c: not a sound\nsordino: d: not a sound\n"
