import csv
import io
import json

import jams
import pytest

from sordino import registry
from sordino.contracts import Evaluation, Prediction
from sordino.results import Answer, answer_jams, answers_csv, answers_json, scores_csv, scores_plain
from sordino.tasks import make_task


def all_answers():
    tasks, predictions = {}, {}
    for name in registry.names("task"):
        task = tasks[name] = make_task(name)
        labels = [task.parse(example) for example in task.examples]
        task.fit(labels)
        target = task.encode(labels[0], 500, 25.0).clamp_min(0)
        predictions[name] = task.decode(target.numpy(), 25.0)
    return tasks, Answer("a folder/song, one.wav", 20.0, predictions)


@pytest.mark.filterwarnings("ignore")  # of the jams package itself
def test_jams_files_are_valid_for_the_jams_package(tmp_path):
    tasks, answer = all_answers()
    path = tmp_path / "song.jams"
    path.write_text(answer_jams(answer, tasks, "mini + lora"))
    read = jams.load(str(path), strict=True, validate=True)
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
    [told] = json.loads(answers_json([answer]))
    assert told["file"] == answer.file and told["key"]["value"] == "A minor"
    rows = list(csv.DictReader(io.StringIO(answers_csv([answer], tasks))))
    assert {row["task"] for row in rows} == set(tasks) and {row["file"] for row in rows} == {answer.file}
    assert sum(row["task"] == "beat" for row in rows) == 39
    assert [row["value"] for row in rows if row["task"] == "tagging"] == ["drums", "guitar"]


def test_a_tempo_of_two_tempi_has_two_rows_the_stronger_first():
    task = make_task("tempo")
    told = Prediction(120.0, 0.9, {"tempi": [60.0, 120.0], "salience": 0.3})
    assert [(row.value, row.confidence) for row in task.observations(told, 5.0)] == [
        (120.0, 0.7),
        (60.0, 0.3),
    ]


def test_scores_keep_every_track_and_what_is_undefined():
    evaluations = {
        "beat": Evaluation({"f": 0.5}, [{"f": 0.5, "d": float("nan")}, {"f": 0.25, "d": 1.0}], ["note"])
    }
    plain = scores_plain(evaluations, ["a", "b"])
    assert json.loads(json.dumps(plain, allow_nan=False))["beat"]["per_track"][0] == {
        "id": "a",
        "f": 0.5,
        "d": None,
    }
    assert plain["beat"]["notes"] == ["note"]
    rows = list(csv.reader(io.StringIO(scores_csv(evaluations, ["a", "b"]))))
    assert rows == [["id", "task", "metric", "value"], ["a", "beat", "f", "0.5"], ["a", "beat", "d", ""],
                    ["b", "beat", "f", "0.25"], ["b", "beat", "d", "1.0"]]  # fmt: skip
