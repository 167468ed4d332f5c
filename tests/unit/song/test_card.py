"""The song card: its parts, who answers them, and how they are told."""

import json

import pytest
import soundfile
from click.testing import CliRunner

from sordino.adapters import locate
from sordino.cli import group
from sordino.contracts import Prediction
from sordino.results import FileAnswer
from sordino.song.card import PARTS, SongCard, lines, sources
from sordino.tasks import make_task
from tests.tiny_adapters import adapter


def call(*words, **options):
    return CliRunner().invoke(group, [str(word) for word in words], catch_exceptions=False, **options)


def test_all_parts_from_what_ships_in_one_pass(shipped, song):
    card = SongCard()
    (answer,) = card.files([song])
    assert list(answer.answers) == list(PARTS) == list(card.tasks)
    assert set(answer["instruments"].details["probabilities"]) == {"guitar", "piano"}
    assert not any("by" in prediction.details for prediction in answer.answers.values())


def test_plain_estimators_know_the_song_and_are_named(nothing_shipped, song):
    (answer,) = SongCard().files([song])
    assert list(answer.answers) == ["key", "tempo", "beat", "chord"]
    assert answer["key"].value == "A minor" and answer["key"].details["by"] == "chroma template"
    assert answer["tempo"].value == pytest.approx(75, rel=0.03)
    told = "\n".join(lines(answer, SongCard().tasks))
    assert told.startswith(f"{song}  0:13\n") and "A minor or " in told and "(chroma template)" in told
    assert "chord  Am Dm" in told and "metre  not known" in told


def test_each_part_is_answered_by_what_was_chosen_for_it(shipped, song, monkeypatch):
    monkeypatch.setattr("sordino.song.card.choices", lambda: {"key": {"use": "plain"}, "beat": {"use": "adapter"}})
    adapters, plain = sources()
    assert list(plain) == ["key"] and "key" not in adapters and {"tempo", "beat"} <= set(adapters)
    (answer,) = SongCard().files([song])
    assert list(answer.answers) == list(PARTS) and answer["key"].value == "A minor"


def test_tags_come_from_musicnn_where_it_was_fetched(shipped, song, tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path))
    adapter(tmp_path / "adapters" / "musicnn-msd_tags.adapter", make_task("tagging", tags=["rock", "jazz"]), "probe")
    card = SongCard()
    (answer,) = card.files([song])
    assert list(answer.answers) == [*PARTS, "tags"] and set(answer["tags"].details["probabilities"]) == {"rock", "jazz"}


def test_a_song_card_in_text():
    tasks = {name: make_task(**spec) for name, spec in PARTS.items()}
    beats = [0.5 + 0.6 * n for n in range(12)]
    tempo = {"tempi": [50.0, 100.0], "salience": 0.3}
    answer = FileAnswer("a.mp3", {
        "key": Prediction("A minor", 0.8, {"alternatives": {"A minor": 0.8, "C major": 0.1}}),
        "tempo": Prediction(100.0, None, {**tempo, "by": "onset autocorrelation"}),
        "beat": Prediction({"beats": beats, "downbeats": beats[::3]}, 0.9, {"beats_per_bar": 3}),
        "chord": Prediction([[0.0, 2.0, "A:min"], [2.0, 4.0, "G:7"], [4.0, 5.0, "N"]]),
        "instruments": Prediction(["piano", "guitar"], None, {"probabilities": {"guitar": 0.9, "piano": 0.6}}),
    }, 125.0)  # fmt: skip
    assert lines(answer, tasks) == [
        "a.mp3  2:05",
        "  key          A minor or C major",
        "  tempo        100.0 or 50.0 BPM  (onset autocorrelation)",
        "  metre        3 beats in a bar",
        "  beat         12, the first at 0.50 s; 4 downbeats, the first at 0.50 s",
        "  chord        Am G7 N",
        "  instruments  guitar 0.90, piano 0.60",
    ]
    silent = FileAnswer("b.mp3", {"tempo": Prediction(0.0), "beat": Prediction({"beats": [], "downbeats": None}),
                                  "chord": Prediction([])}, 1.0)  # fmt: skip
    assert [line.split(maxsplit=1)[1] for line in lines(silent, tasks)[1:]] == ["none", "not known", "0", "none"]


def test_the_first_command_gives_a_song_card_in_every_form(shipped, song, tmp_path):
    told = call("predict", song)
    assert told.exit_code == 0 and [line.split()[0] for line in told.stdout.splitlines()[1:]] == [
        "key", "tempo", "metre", "beat", "chord", "instruments"]  # fmt: skip
    whole = json.loads(call("predict", song, "--json").stdout)
    assert set(whole) == {"path", "duration_s", *PARTS}
    header, *rows = call("predict", song, "--csv").stdout.splitlines()
    assert header.startswith("path,task") and {row.split(",")[1] for row in rows} >= {"key", "tempo", "chord"}
    places = {"--jams": "jams", "--audacity": "labels", "--rekordbox": "library.xml", "--sonify": "a.wav",
              "--plot": "a.png"}  # fmt: skip
    words = [word for option, name in places.items() for word in (option, tmp_path / name)]
    assert call("predict", song, *words).exit_code == 0
    spaces = [a["namespace"] for a in json.loads((tmp_path / "jams" / "song.jams").read_text())["annotations"]]
    assert spaces == ["key_mode", "tempo", "beat", "chord", "tag_open"]
    assert (tmp_path / "labels" / "song.chord.txt").is_file() and "TEMPO" in (tmp_path / "library.xml").read_text()
    assert soundfile.info(tmp_path / "a.wav").duration == pytest.approx(12.8, abs=0.01)


def test_adapters_that_ship_are_found_by_name(shipped, song, tmp_path, monkeypatch):
    assert locate("key") == shipped / "key.adapter"
    with pytest.raises(FileNotFoundError, match='did you mean "tempo"'):
        locate("tempoo")
    told = json.loads(call("predict", song, "-a", "key", "-a", f"mine={shipped / 'key.adapter'}", "--json").stdout)
    assert told["key"]["value"] == told["mine/key"]["value"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").mkdir()
    with pytest.raises(FileNotFoundError, match="key is not an adapter"):  # what lies here comes first
        call("predict", song, "-a", "key")
