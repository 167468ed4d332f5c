import csv
import io
import json
from pathlib import Path

import jams
import numpy as np
import pytest

from sordino import registry
from sordino.contracts import Prediction
from sordino.files import finite
from sordino.results import (
    ANSWER_COLUMNS,
    SCORE_COLUMNS,
    FileAnswer,
    answer_rows,
    score_rows,
    scored_answers,
    to_csv,
    write_jams,
)
from sordino.tasks import make_task


def all_answers():
    """One recording, answered by every task there is."""
    tasks, answers = {}, {}
    for name in registry.names("task"):
        task = tasks[name] = make_task(name)
        labels = [task.parse(example) for example in task.examples]
        task.fit(labels)
        target = task.encode(labels[0], 500, 25.0)
        answers[name] = task.decode((target.clamp_min(0) if task.level == "frame" else target).numpy(), 25.0)
    return tasks, FileAnswer("a folder/song, one.wav", answers, 20.0)


@pytest.mark.filterwarnings("ignore")  # of the jams package itself
def test_jams_files_are_valid_for_the_jams_package(tmp_path):
    tasks, answer = all_answers()
    write_jams(answer, tasks, tmp_path / "new", "song, one")
    read = jams.load(str(tmp_path / "new" / "song, one.jams"), strict=True, validate=True)
    assert read.validate()
    assert len(read.annotations) == len(tasks)
    assert read.search(namespace="key_mode")[0].data[0].value == "A:minor"
    beats = read.search(namespace="beat")[0].data
    assert [beat.value for beat in beats[:6]] == [1, 2, 3, 4, 1, 2] and beats[0].time == pytest.approx(0.5)
    chords = [(row.time, row.value) for row in read.search(namespace="chord")[0].data]
    assert chords[:3] == [(0.0, "C:maj"), (2.0, "A:min"), (3.2, "G:maj")]
    assert read.search(namespace="tempo")[0].data[0].value == pytest.approx(120)


def test_json_and_csv_hold_every_answer():
    tasks, answer = all_answers()
    told = json.loads(json.dumps(answer.plain(), allow_nan=False))
    assert told["path"] == answer.path and told["key"]["value"] == "A minor"
    rows = list(csv.DictReader(io.StringIO(to_csv([ANSWER_COLUMNS, *answer_rows(answer, tasks)]))))
    assert {row["task"] for row in rows} == set(tasks) and {row["path"] for row in rows} == {answer.path}
    assert sum(row["task"] == "beat" for row in rows) == 39
    assert [row["value"] for row in rows if row["task"] == "tagging"] == ["drums", "guitar"]
    numbers = json.loads(next(row["value"] for row in rows if row["task"] == "regression"))
    assert numbers["arousal"] == pytest.approx(0.3, abs=1e-6)


def test_a_tempo_of_two_tempi_has_two_rows_the_stronger_first():
    task = make_task("tempo")
    told = Prediction(120.0, 0.9, {"tempi": [60.0, 120.0], "salience": 0.3})
    assert [(row.value, row.confidence) for row in task.observations(told, 5.0)] == [(120.0, 0.7), (60.0, 0.3)]


def test_scores_keep_every_track_and_what_is_undefined():
    track = {"reference": "C major", "estimated": "A minor", "length_s": 9.0}
    keys = [{"id": "a", **track, "f": 0.5, "e": 1}, {"id": "b", **track, "f": float("nan"), "e": 2}]
    tempi = [{"id": "b", "reference": 90.0, "estimated": 91.0, "length_s": 9.0, "f": 1.0}]
    scored = {"key": {"per_track": keys}, "tempo": {"per_track": tempi}}
    rows = list(csv.reader(io.StringIO(to_csv([SCORE_COLUMNS, *score_rows(scored)]))))
    expected = [["a", "key", "f", "0.5"], ["a", "key", "e", "1"], ["b", "key", "f", ""], ["b", "key", "e", "2"]]
    assert rows[1:] == [*expected, ["b", "tempo", "f", "1.0"]]  # in the task's order of metrics, whatever the hash seed
    answers = scored_answers(scored)
    assert [answer.path for answer in answers] == ["a", "b"] and answers[1].duration_s == 9.0
    assert {name: p.value for name, p in answers[1].answers.items()} == {"key": "A minor", "tempo": 91.0}


def test_plain_data_has_neither_numpy_nor_nan():
    given = {"a": np.float32(0.5), 1: [np.int64(2), float("inf")], "b": (np.bool_(True), np.nan), "c": Path("x")}
    text = '{"a": 0.5, "1": [2, null], "b": [true, null], "c": "x"}'
    assert json.dumps(finite(given), allow_nan=False) == text


def test_somebodys_annotation_is_never_written_over(tmp_path):
    tasks, answer = all_answers()
    (tmp_path / "song.jams").write_text('{"annotations": [], "file_metadata": {"title": "heard it twice"}}')
    with pytest.raises(ValueError, match=r"song\.jams is there and not by sordino"):
        write_jams(answer, tasks, tmp_path, "song")
    assert "heard it twice" in (tmp_path / "song.jams").read_text()
    for _ in range(2):  # its own is replaced
        write_jams(answer, tasks, tmp_path, "other")
    assert "heard it twice" not in (tmp_path / "other.jams").read_text()
