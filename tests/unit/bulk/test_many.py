"""Many recordings: all cores, answers that are kept, runs that go on, and processes that die."""

import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from sordino.bulk import processes
from sordino.bulk.asked import Asked
from sordino.bulk.kept import open_kept
from sordino.bulk.sounds import Named, expand
from sordino.cli import group
from sordino.contracts import Prediction
from sordino.results import FileAnswer
from sordino.tasks import make_task


def call(*words):
    return CliRunner().invoke(group, [str(word) for word in words], catch_exceptions=False)


def plain(answers):
    """What was answered, but for the last digits, which depend on who shares a batch."""
    told = [(one, [(p.value, round(p.confidence, 4)) for p in one.answers.values()]) for one in answers]
    return [(one.path, one.name, one.error, values) for one, values in told]


def test_processes_answer_as_one_does_in_order(adapter, catalogue):
    asked, sounds = Asked([adapter]), expand([str(catalogue)])
    alone = list(processes.answers(asked, sounds, 1))
    assert plain(processes.answers(asked, sounds, 2)) == plain(alone)
    assert [answer.name for answer in alone] == [sound.name for sound in sounds]
    assert [answer.path for answer in alone if answer.error] == [str(catalogue / "1" / "07.wav")]


@dataclass
class Killing(Asked):
    """Answers, but the process that comes to the recording `09` dies: always, or (`once`) the first time."""

    once: Path | None = None

    def answers(self, sounds):
        for sound in sounds:
            if sound.name.endswith("09") and not (self.once and self.once.exists()):
                if self.once:
                    self.once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().answers([sound])


@pytest.mark.parametrize("once", [True, False])
def test_a_killed_process_is_replaced_and_only_what_kills_is_given_up(once, adapter, catalogue, tmp_path):
    sounds = expand([str(catalogue)])
    killing = Killing([adapter], once=tmp_path / "mark" if once else None)
    told = list(processes.answers(killing, sounds, 2))
    assert [answer.path for answer in told] == [sound.path for sound in sounds]
    lost = [answer.error for answer in told if answer.error and "07.wav" not in answer.error]
    assert lost == ([] if once else [f"{catalogue}/0/09.wav: the process that read it died twice"])


def test_usual_workers_are_no_more_than_there_is_work_for(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert [processes.usual_workers(n, "cpu") for n in (1, 31, 32, 100, 10_000)] == [1, 1, 1, 3, 8]


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.csv", "answers"])
def test_answers_are_kept_and_a_stopped_run_goes_on(name, adapter, catalogue, tmp_path):
    if name == "answers":
        pytest.importorskip("pyarrow")
    out, asked = str(tmp_path / name), Asked([adapter])
    sounds = expand([str(catalogue)])
    kept = open_kept(out, asked.tasks, go_on=False)
    for answer in asked.answers(sounds[:6]):
        kept.add(answer)
    kept.close()
    with pytest.raises(ValueError, match="holds answers already; --skip-existing"):
        call("predict", catalogue, "-a", adapter, "--out", out)
    told = call("predict", catalogue, "-a", adapter, "--out", out, "--skip-existing")
    assert told.exit_code == 1 and "6 of 20 are answered already" in told.stderr
    assert "14 files (1 failed)" in told.stderr
    assert told.stdout == "" and "07.wav" in told.stderr
    paths = open_kept(out, asked.tasks, go_on=True).paths()
    assert paths == {sound.path for sound in sounds if "07.wav" not in sound.path}
    again = call("predict", catalogue, "-a", adapter, "--out", out, "--skip-existing", "--quiet")
    assert again.stderr.count("\n") == 1 and "07.wav" in again.stderr  # only what failed is asked again


def test_a_line_that_a_kill_has_cut_off_is_asked_again(adapter, catalogue, tmp_path):
    out = tmp_path / "answers.jsonl"
    call("predict", catalogue / "0", "-a", adapter, "--out", out)
    whole = out.read_text()
    out.write_text(whole[:-20])
    assert call("predict", catalogue / "0", "-a", adapter, "--out", out, "--skip-existing").exit_code == 0
    rows, before = ([json.loads(line) for line in text.splitlines()] for text in (out.read_text(), whole))
    assert [(row["path"], row["key"]["value"]) for row in rows] == [
        (row["path"], row["key"]["value"]) for row in before
    ]


def test_a_recording_that_a_kill_has_cut_off_is_asked_again_whole(tmp_path):
    """It has several rows in a CSV, of which some may be written."""
    out, tasks = tmp_path / "a.csv", {"beat": make_task("beat")}
    first, second = (FileAnswer(f"{name}.wav", {"beat": Prediction({"beats": [1.0, 2.0, 3.0], "downbeats": None})}, 4.0)
                     for name in "ab")  # fmt: skip
    kept = open_kept(str(out), tasks, go_on=False)
    kept.add(first)
    one = out.read_text()
    kept.add(second)
    both = out.read_text()
    for n_lost in (1, 5, 30, 60):
        out.write_text(both[:-n_lost])
        again = open_kept(str(out), tasks, go_on=True)
        assert again.paths() == {"a.wav"} and out.read_text() == one
    again.add(second)
    assert out.read_text() == both


@pytest.mark.parametrize("go_on", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "path,key\na.wav,C major\nb.wav,D major"),
        ("notes.csv", "one line"),
        ("labels.jsonl", '{"path": "a.wav", "key": "C major"}\n{"path": "b.wav", "key": "D major"}'),
        ("manifest.jsonl", '{"path": "a.wav", "duration_s": 2.0, "key": "C major"}\n'),
        ("one.jsonl", '{"path": "a.wav", "key": "C major"}'),
        ("notes.jsonl", "no JSON\n"),
        ("notes.csv", "caf\u00e9\n"),
    ],
)
def test_what_others_wrote_is_left_alone(name, text, go_on, tmp_path):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="is there and holds no answers of sordino"):
        open_kept(str(tmp_path / name), {"key": make_task("key")}, go_on)
    assert (tmp_path / name).read_bytes() == text.encode("latin-1")


def test_files_of_songs_that_are_there_are_not_made_again(adapter, catalogue, tmp_path):
    words = ["predict", catalogue, "-a", adapter, "--jams", tmp_path / "jams", "--audacity", tmp_path / "labels"]
    call(*words)
    assert len(list((tmp_path / "jams").rglob("*.jams"))) == 19
    (tmp_path / "labels" / "0" / "00.key.txt").unlink()
    told = call(*words, "--skip-existing")
    assert "18 of 20 are answered already" in told.stderr and (tmp_path / "labels" / "0" / "00.key.txt").is_file()
    told = CliRunner().invoke(group, ["predict", str(catalogue), "--skip-existing"])
    assert told.exit_code == 2 and "wants a place where answers are kept" in told.stderr


def test_parts_of_parquet_have_the_same_columns_whatever_is_in_them(adapter, catalogue, tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    call("predict", catalogue / "1" / "07.wav", "-a", adapter, "--out", tmp_path / "answers")
    call("predict", catalogue, "-a", adapter, "--out", tmp_path / "answers", "--skip-existing")
    table = dataset.dataset(tmp_path / "answers").to_table()
    assert table.column_names == ["path", "duration_s", "error", "key", "key_confidence"]
    assert table.num_rows >= 20 and table.column("key").null_count == table.num_rows - 19


def test_what_cannot_be_written_of_one_song_ends_no_run(adapter, catalogue, tmp_path):
    (tmp_path / "jams").mkdir()
    (tmp_path / "jams" / "03.jams").write_text('{"somebody": "else"}')
    told = call("predict", *sorted((catalogue / "0").iterdir()), "-a", adapter, "--jams", tmp_path / "jams")
    assert told.exit_code == 1 and told.stderr.count("sordino: ") == 1
    assert "03.jams is there and not by sordino" in told.stderr
    assert {path.stem for path in (tmp_path / "jams").iterdir()} == {f"{n:02}" for n in range(0, 20, 3)}
    assert len(told.stdout.splitlines()) == 7


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_names_that_are_no_text_are_kept(name, tmp_path):
    kept = open_kept(str(tmp_path / name), {"key": make_task("key")}, False)
    kept.add(FileAnswer("a\udcff.wav", {"key": Prediction("A minor")}))
    assert "udcff.wav" in (tmp_path / name).read_text(encoding="utf-8")


def test_several_numbers_are_kept_as_text(tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    one = make_task("regression", names=["value"], mean=[0.0], deviation=[1.0])
    two = make_task("regression", names=["arousal", "valence"], mean=[0.0, 0.0], deviation=[1.0, 1.0])
    kept = open_kept(str(tmp_path / "answers"), {"one": one, "two": two}, False)
    both = {"one": Prediction(0.5), "two": Prediction({"arousal": 0.25, "valence": -1.0})}
    kept.add(FileAnswer("a.wav", both))
    kept.close()
    (row,) = dataset.dataset(tmp_path / "answers").to_table().to_pylist()
    assert row["one"] == 0.5 and json.loads(row["two"]) == {"arousal": 0.25, "valence": -1.0}


def test_a_recording_that_cannot_be_fetched_is_told_with_the_reason(adapter, catalogue, monkeypatch):
    class Unreachable(Exception):
        """As libraries of buckets have their own."""

    def opened(place, mode):
        if place.endswith("b.wav"):
            raise Unreachable("no route to host")
        return (catalogue / "0" / "00.wav").open(mode)

    monkeypatch.setattr("sordino.bulk.elsewhere.opened", opened)
    told = list(Asked([adapter]).answers([Named(f"s3://bucket/{name}.wav", name) for name in "abc"]))
    assert [answer.error for answer in told] == [
        None, "s3://bucket/b.wav: cannot be fetched (Unreachable: no route to host)", None,
    ]  # fmt: skip


def test_recordings_in_a_bucket_are_fetched_and_let_go(adapter, catalogue, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe("/songs/a.wav", (catalogue / "0" / "00.wav").read_bytes())
    asked = Asked([adapter])
    wanted = [Named("memory://songs/a.wav", "a"), Named("memory://songs/none.wav", "none")]
    good, bad = asked.answers(wanted)
    (here,) = asked.answers([Named(str(catalogue / "0" / "00.wav"), "00")])
    assert good["key"].value == here["key"].value and good.path == "memory://songs/a.wav"
    assert bad.error is not None and bad.error.startswith("memory://songs/none.wav: ")
    kept = open_kept("memory://answers", asked.tasks, go_on=False)
    kept.add(good)
    kept.close()
    assert open_kept("memory://answers", asked.tasks, go_on=True).paths() == {"memory://songs/a.wav"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_cluster_goes_on_where_it_stopped_and_survives_a_killed_worker(adapter, catalogue, tmp_path):
    ray = pytest.importorskip("ray")
    out, asked = tmp_path / "answers", Asked([adapter])
    kept = open_kept(str(out), asked.tasks, go_on=False)
    for answer in asked.answers(expand([str(catalogue)])[:3]):
        kept.add(answer)
    kept.close()
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    killed = []

    def kill_one():
        """Kill the first worker process that answers."""
        for _ in range(600):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    words = (folder / "cmdline").read_bytes()
                except OSError:
                    continue
                if words.startswith(b"ray::") and b"Answerer" in words:
                    os.kill(int(folder.name), signal.SIGKILL)
                    killed.append(words)
                    return
            time.sleep(0.1)

    thread = threading.Thread(target=kill_one)
    thread.start()
    try:
        told = call("predict", catalogue, "-a", adapter, "--ray", "local", "--out", out, "--skip-existing",
                    "--workers", 1)  # fmt: skip
    finally:
        thread.join()
        ray.shutdown()
    assert killed and "3 of 20 are answered already" in told.stderr, told.output
    assert "17 files (1 failed)" in told.stderr
    paths = open_kept(str(out), asked.tasks, go_on=True).paths()
    assert len(paths) == 19


def test_ray_wants_a_folder_for_its_parts(adapter, catalogue):
    told = CliRunner().invoke(group, ["predict", str(catalogue), "-a", adapter, "--ray", "local"])
    assert told.exit_code == 2 and "name their folder with --out FOLDER" in told.stderr
