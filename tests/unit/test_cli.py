"""The command line as a user meets it."""

import json
import re
from itertools import pairwise

import click
import pytest
from click.testing import CliRunner

from sordino.cli import group, main
from tests.conftest import TINY

SETTINGS = ["training.steps=3", "training.batch_size=4", "training.precision=float32", "head.hidden=0"]
BACKBONE = [f"backbone.{key}={value}" for key, value in TINY.items()]


def call(*words: str):
    return CliRunner().invoke(group, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(triads, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    words = ["train", triads, "--task", "key+tempo", "--method", "lora", "--out", out, *SETTINGS, *BACKBONE]
    return words, call(*words), out


def test_train_prints_scores_and_names_the_adapter(trained):
    words, first, _ = trained
    assert first.exit_code == 0, first.output
    assert "key: weighted_score" in first.stdout and "backbone weights: random (seed 0)" in first.stdout
    assert "training = " in first.stderr
    assert re.search(r"^step 3: validation key 0\.\d{3}, tempo [01]\.\d{3}$", first.stderr, re.MULTILINE)
    again = call(*words, "--json")
    assert set(json.loads(again.stdout)["tasks"]) == {"key", "tempo"}


def test_every_result_stands_beside_what_learns_nothing(trained):
    words, _, out = trained
    told = call(*words).stdout
    assert "  chroma template: " in told and told.count("  majority: ") == 2
    result = json.loads(next(out.glob("*/result.json")).read_text())
    assert set(result["tasks"]["tempo"]["plain"]) == {"onset autocorrelation", "majority"}
    assert call(*words, "--quiet").stderr == ""


def test_data_may_stand_in_the_file(trained, triads, tmp_path):
    _, first, out = trained
    config = tmp_path / "run.toml"
    config.write_text(f'data = "{triads}"\ntask = "key+tempo"\nmethod = "lora"\n')
    again = call("train", "--config", config, *SETTINGS, *BACKBONE, "--out", out)
    assert again.stdout == first.stdout  # the same run, with nothing trained anew
    assert "Give DATA" in CliRunner().invoke(group, ["train", "-t", "key"]).stderr


def test_runs_are_listed_best_first(trained, tmp_path):
    rows = [json.loads(line) for line in call("runs", trained[2], "--json").stdout.splitlines()]
    assert [row["task"] for row in rows] == ["key", "tempo"] and rows[0]["method"] == "lora"
    assert call("runs", trained[2], "--task", "key").stdout.startswith("key ")
    with pytest.raises(ValueError, match=r"no finished run of task chord"):
        call("runs", trained[2], "--task", "chord")


def test_predict_and_evaluate_use_the_adapter(trained, triads, monkeypatch):
    adapter = next(trained[2].glob("*/model.adapter"))
    good, bad = triads.parent / "clip 0.wav", triads.parent / "nothing.wav"
    told = call("predict", good, bad, "--adapter", adapter, "--json")
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert told.exit_code == 1
    assert "value" in lines[0]["key"] and "no such file" in lines[1]["error"]
    scored = json.loads(call("evaluate", adapter, "--data", triads, "--json").stdout)
    result = json.loads((adapter.parent / "result.json").read_text())
    assert scored["key"]["metrics"] == result["tasks"]["key"]["metrics"]
    monkeypatch.setattr("sordino.adapters.FOLDER", adapter.parent)  # as one that ships, by its name
    assert json.loads(call("evaluate", "model", "--data", triads, "--json").stdout)["key"] == scored["key"]


def test_predict_writes_for_other_programs_and_tags_only_when_asked(trained, triads, tmp_path):
    pytest.importorskip("mutagen")
    adapter, song = next(trained[2].glob("*/model.adapter")), tmp_path / "song.wav"
    song.write_bytes((triads.parent / "clip 0.wav").read_bytes())
    before = song.read_bytes()
    more = ["--audacity", tmp_path / "labels", "--rekordbox", tmp_path / "library.xml"]
    assert call("predict", song, "--adapter", adapter, *more).exit_code == 0
    assert {path.name for path in (tmp_path / "labels").iterdir()} == {"song.key.txt", "song.tempo.txt"}
    assert "AverageBpm" in (tmp_path / "library.xml").read_text() and song.read_bytes() == before
    assert call("predict", song, "--adapter", adapter, "--write-tags").exit_code == 0
    assert b"TBPM" in song.read_bytes()


def test_predict_and_evaluate_write_tables_and_jams(trained, triads, tmp_path):
    adapter = next(trained[2].glob("*/model.adapter"))
    told = call("predict", triads.parent / "clip 0.wav", "--adapter", adapter, "--csv", "--jams", tmp_path / "jams")
    header, *rows = told.stdout.splitlines()
    assert header == "path,task,start_s,duration_s,value,confidence" and len(rows) >= 2
    spaces = [a["namespace"] for a in json.loads((tmp_path / "jams" / "clip 0.jams").read_text())["annotations"]]
    assert spaces == ["key_mode", "tempo"]
    told = call("evaluate", adapter, "--data", triads, "--csv", "--jams", tmp_path / "scored")
    header, *rows = told.stdout.splitlines()
    assert header == "id,task,metric,value" and any(",key,weighted_score," in row for row in rows)
    assert len(list((tmp_path / "scored").glob("*.jams"))) == 6


@pytest.mark.parametrize("kind", ["backbones", "methods", "tasks", "datasets"])
def test_list_names_every_file(kind):
    from sordino.cli.list import KINDS
    from sordino.registry import names

    listed = json.loads(call("list", kind, "--json").stdout)
    assert sorted(row["name"] for row in listed) == names(KINDS[kind])
    assert all(name in call("list", kind).stdout for name in names(KINDS[kind]))


@pytest.mark.parametrize("name", ["mini", "musicfm", "lora", "key", "demo", "folder"])
def test_show_tells_what_a_name_is(name):
    shown = call("show", name)
    assert shown.exit_code == 0
    assert "options:" in shown.stdout
    assert json.loads(call("show", name, "--json").stdout)["name"] == name


def test_help_and_show_tell_what_a_setting_means_and_wants():
    told = " ".join(call("train", "--help").stdout.split())
    assert "training.batch_size = 16 segments in a step. [a whole number (1 or more)]" in told
    assert 'training.schedule = "cosine" how the learning rate goes. [cosine or constant]' in told
    assert "head.dropout = 0.5" in told
    shown = json.loads(call("show", "lora", "--json").stdout)["options"]
    assert shown["r = 2"] == "rank.  [a whole number (1 or more) or a table of these]"
    assert 'variant = "95m"' in json.loads(call("show", "mert", "--json").stdout)["options"]


def test_show_of_a_backbone_has_sites_and_weights():
    shown = json.loads(call("show", "musicfm", "--json").stdout)
    assert shown["parameters"] > 3e8
    assert "attn.q" in shown["sites"] and "pretrained_msd.pt" in shown["weights"]


def doubled(text):
    """Words that follow themselves."""
    words = [word.strip(".,:;\"'`()").casefold() for word in text.split()]
    return [word for word, after in pairwise(words) if word == after and word.isalpha()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("show lorra", 'did you mean "lora"'),
        ("train demoo", 'unknown dataset or path "demoo"; did you mean "demo"'),
        ("train demo --task kay", 'did you mean "key"'),
        ("train TABLE -t key -m lorra", 'did you mean "lora"'),
        ("train TABLE -t key -b minni", 'did you mean "mini"'),
        ("train TABLE -t key training.stpes=3", 'did you mean "training.steps"'),
        ("train TABLE -t classification task.label=kei", 'unknown label "kei"; did you mean "key"? Known: key, tempo'),
        ("train TABLE -t regression", 'task regression: unknown label "emotion"'),
        ("prepare TABLE -t tagging", 'task tagging: unknown label "tags". Known: key, tempo'),
        ("prepare TABLE -t key+tempoo", 'did you mean "tempo"'),
        ("adapt TABLE -t kay", 'did you mean "key"'),
        ("adapt TABLE -t tagging", 'unknown label "tags"'),
        ("adapt TABLE -b minni", 'did you mean "mini"'),
        ("train beatles -t key", "beatles: no chords and no beats and no keys in"),
        ("evaluate nowhere.adapter", "is not an adapter"),
        ("predict a.wav -a nowhere.adapter", "is not an adapter"),
    ],
)
def test_a_wrong_name_fails_in_one_line_before_anything_else_is_printed(
    words, message, triads, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SORDINO_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["sordino", *words.replace("TABLE", str(triads)).split()])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr()
    (told,) = printed.err.splitlines()
    assert stopped.value.code == 1 and printed.out == ""
    assert message in told and told.startswith("sordino: ") and not doubled(told)


def test_a_report_never_doubles_a_word(triads, tmp_path):
    (tmp_path / "mine.csv").write_text(
        f"File;Tempo (BPM);Key;Duration;Split\n{triads.parent / 'clip 0.wav'};97,5;H major;soon;train\n"
        f"{triads.parent / 'clip 1.wav'};fast;H major;n/a;train\n{triads.parent / 'clip 2.wav'};12;8A;-;maybe\n"
        f"{triads.parent / 'clip 3.wav'};12;8A;-;test\ngone.m4a;60/120;Am;;\n"
    )
    told = call("prepare", tmp_path / "mine.csv", "-t", "key+tempo", "--workers", "1")
    assert told.exit_code == 1 and "is under 20 or over 400" in told.stdout and ": No such file" in told.stdout
    assert [line for line in told.stdout.splitlines() if doubled(line)] == []


def test_fetch_says_where_the_weights_are(monkeypatch, capsys):
    assert call("fetch", "mini").stdout == "random or built in\n"
    assert json.loads(call("fetch", "tempo_cnn", "--json").stdout) == {"weights": "random or built in", "adapters": []}
    monkeypatch.setattr("sys.argv", ["sordino", "fetch", "musicnn", "varient=mtt"])
    with pytest.raises(SystemExit):
        main()
    assert 'unknown setting "musicnn.varient"; did you mean "musicnn.variant"' in capsys.readouterr().err


def test_every_verb_ends_its_help_in_an_example():
    for verb in group.list_commands(click.Context(group)):
        told = call(verb, "--help").stdout
        assert "Example" in told and f"sordino {verb}" in told, verb


def test_own_data_are_looked_through_before_training(triads, tmp_path):
    import shutil

    folder = shutil.copytree(triads.parent, tmp_path / "mine")
    whole = (folder / "clip 0.wav").read_bytes()
    (folder / "clip 0.wav").write_bytes(whole[: len(whole) // 2])
    told = call("train", folder / "labels.csv", "-t", "key", "-m", "probe", "--out", tmp_path, *SETTINGS, *BACKBONE)
    assert told.exit_code == 0, told.output
    assert "clip 0" in told.stderr and "cut off" in told.stderr and "24 tracks" not in told.stderr


def test_a_folder_for_each_class_needs_no_more_than_its_name(triads, tmp_path):
    import shutil

    for number in range(24):
        place = tmp_path / "mine" / ["low", "high"][number % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(triads.parent / f"clip {number}.wav", place / f"{number}.wav")
    words = ["-t", "classification", "-m", "probe", "--out", tmp_path, *SETTINGS, *BACKBONE]
    told = call("train", tmp_path / "mine", *words)
    assert told.exit_code == 0, told.output
    assert "classification: accuracy" in told.stdout or "classification: " in told.stdout


def test_cache_lists_and_clears(triads, tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    assert "0.00 of 100 GB" in call("cache").stdout
    call("train", triads, "--task", "key", "--method", "probe", "--out", tmp_path / "runs", *SETTINGS, *BACKBONE)
    lines = call("cache").stdout.splitlines()
    assert len(lines) == 4 and all("rows  state 2 of " in line for line in lines[:3])
    assert "removed 0 of 3" in call("cache", "--clear", "--unused-days", "1").stdout
    assert "removed 3 of 3" in call("cache", "--clear").stdout
    assert len(call("cache").stdout.splitlines()) == 1


def test_two_files_of_one_name_have_two_answers(trained, triads, tmp_path):
    adapter, songs = (
        next(trained[2].glob("*/model.adapter")),
        [tmp_path / "a" / "same.wav", tmp_path / "b" / "same.wav"],
    )
    for number, song in enumerate(songs):
        song.parent.mkdir()
        song.write_bytes((triads.parent / f"clip {number}.wav").read_bytes())
    told = call("predict", *songs, "--adapter", adapter, "--jams", tmp_path / "jams", "--audacity", tmp_path / "labels")
    assert told.exit_code == 0 and len(list((tmp_path / "labels").iterdir())) == 4
    found = [json.loads((tmp_path / "jams" / f"{name}.jams").read_text()) for name in ("a_same.wav", "b_same.wav")]
    assert [each["file_metadata"]["identifiers"]["path"] for each in found] == list(map(str, songs))
