"""What ships with the package: adapters that fit the built-in backbone, small, with their scores and their study."""

import json
from pathlib import Path

import pytest

from sordino import adapters
from sordino.adapter_file import read_card
from sordino.backbones import load_backbone
from sordino.datasets import load_dataset
from sordino.song.card import PARTS, SongCard, lines

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def fingerprint():
    return load_backbone("mini").fingerprint()


def test_only_parts_of_the_song_card_ship():
    assert set(adapters.names()) <= set(PARTS) and set(adapters.choices()) == set(adapters.names())


@pytest.mark.parametrize("name", adapters.names())
def test_an_adapter_ships_with_what_decided_whether_it_is_used(name, fingerprint):
    folder = adapters.shipped(name)
    card, chosen = read_card(folder), adapters.choices()[name]
    assert card["backbone"]["fingerprint"] == fingerprint, "the built-in weights changed: run tools/build_adapters.py"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    assert (ROOT / "experiments" / "ready" / f"{name}.toml").is_file()
    assert card["scores"]["data"] == chosen["data"] and chosen["use"] in ("adapter", "plain") and chosen["why"]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for data, row in chosen["data"].items():
        assert f"| {data} | {row['n_tracks']} | {row['adapter']['score']:.3f} (" in readme
    assert not any(word in json.dumps(card) for word in ("/tmp", "/home", "/root", "/work"))


def test_the_song_card_of_a_recording_has_every_part():
    card = SongCard()
    (answer,) = card.files([load_dataset("demo").excerpt().path])
    assert list(answer.answers)[:4] == list(PARTS)[:4] and ("instruments" in answer.answers) == (
        "instruments" in adapters.names()
    )
    told = "\n".join(lines(answer, card.tasks))
    used = {name: row["use"] for name, row in adapters.choices().items()}
    for name, prediction in answer.answers.items():
        assert ("by" in prediction.details) == (used.get(name, "plain") == "plain" and name != "tags"), told
