"""The dataset of docs/add_a_dataset.md is complete as it stands."""

import re
from pathlib import Path

import pytest

from sordino.tasks import make_task

PAGE = Path(__file__).parents[2] / "docs" / "add_a_dataset.md"


def test_the_example_reads_its_miniature(tmp_path):
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    module: dict = {"__name__": "sordino.datasets.hums"}
    exec(compile(code[0], str(PAGE), "exec"), module)
    kind = module["Hums"]
    with pytest.raises(FileNotFoundError, match=r"hums: no audio in .* Ask a passer-by"):
        kind(tmp_path).tracks()
    kind.miniature(tmp_path)
    tracks = kind(tmp_path).tracks()
    assert {track.id: (track.split, make_task("key").parse(track.labels["key"])) for track in tracks} == {
        "anna": ("train", "C major"),
        "tom": ("validation", "A minor"),
        "zoë": ("test", "Eb minor"),
    }
