"""Reports: paired tests against known answers, marks in the tables, the page and its commands."""

import json
import re
import shlex
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from sordino.cli import group
from sordino.config import Config, build, load_config
from sordino.contracts import Prediction
from sordino.study.report import gains, plots
from sordino.study.report.comparison import bootstrap_p, compare, comparisons, holm, mcnemar
from sordino.study.report.folder import write_report
from sordino.study.report.page import command_of, page
from sordino.study.report.paper_table import latex, markdown, paper_table
from sordino.study.report.table import by_task
from sordino.study.rows import Row, plain_row, rows_of
from sordino.tasks import make_task
from sordino.training.plan import Run
from sordino.training.report import report


def run(answers, method="lora", seed=0, task="key", **values):
    """A finished run that gave these answers; the truth is C major, 120 BPM or the first tag everywhere."""
    made = make_task(task, **({"tags": ["a", "b"]} if task == "tagging" else {}))
    truth = {"key": "C major", "tempo": 120.0, "tagging": ["a"]}[task]
    told = [answer if isinstance(answer, Prediction) else Prediction(answer) for answer in answers]
    scored = report(made, [f"t{n}" for n in range(len(told))], [made.parse(truth)] * len(told), told)
    config = build(Config, {"task": task, "method": method, "seed": seed, **values}).resolved()
    return Run(Path(), {
        "config": config, "tasks": {task: scored}, "weights": "w", "parameters": {"method": 1000 + seed, "share": 0.01},
        "step_s": 1.0, "peak_memory_bytes": 5e6, "best_step": 5, "train_cpu_s": 30.0,
        "protocol": {"track_list_sha256": {"test": "t"}, "tracks": {"train": 40}}, "versions": {"machine": "m"},
    })  # fmt: skip


def keys(n_right, n=40, wrong="F# major"):
    return ["C major"] * n_right + [wrong] * (n - n_right)


def test_resamples_of_two_runs_are_pairs():
    """The difference's interval is that of resampling the tracks' own differences."""
    better, worse = rows_of([run(keys(30)), run(keys(20), "probe")])
    (found,) = compare([better, worse], worse)
    draws = np.random.default_rng(0).integers(0, 40, (1000, 40))
    own = (np.arange(40) < 30).astype(float) - (np.arange(40) < 20)
    low, high = np.percentile(own[draws].mean(1), [2.5, 97.5])
    assert found.difference == pytest.approx(0.25)
    assert found.interval == pytest.approx((low, high), abs=2e-5)  # resamples are kept with five digits
    assert (found.test, found.better, found.worse) == ("McNemar", 10, 0)
    assert found.p_tracks == pytest.approx(2 * 0.5**10) and found.differs


def test_equal_rows_do_not_differ_and_swapped_rows_do_the_other_way():
    one, same, less = rows_of([run(keys(30)), run(keys(30), "adapter"), run(keys(10), "probe")])
    equal, lower = compare([same, less], one)
    assert (equal.difference, equal.p, equal.p_holm, equal.better, equal.worse) == (0, 1, 1, 0, 0)
    assert lower.difference == pytest.approx(-0.5) and lower.interval[1] < 0
    (higher,) = compare([one], less)
    assert higher.interval == pytest.approx((-lower.interval[1], -lower.interval[0])) and higher.p == lower.p


def test_seeds_are_averaged_before_they_are_compared():
    rows = rows_of([run(keys(30), seed=0), run(keys(20), seed=1), run(keys(20), "probe")])
    (found,) = compare(rows, rows[1])
    assert found.difference == pytest.approx(0.125)
    assert found.test == "Wilcoxon"  # means over seeds are no longer 0 or 1
    half = np.array([0.5] * 10 + [0.0] * 30)
    assert found.p_tracks == pytest.approx(stats.wilcoxon(half).pvalue)


def test_known_p_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # Holm 1979's procedure by hand
    first = np.array([1] * 15 + [0] * 5 + [1] * 20, float)
    second = np.array([0] * 15 + [1] * 5 + [1] * 20, float)
    assert mcnemar(first, second) == pytest.approx(0.04139, abs=1e-5)  # binomial, 5 of 20
    assert bootstrap_p(np.ones(999)) == pytest.approx(0.002) and bootstrap_p(np.zeros(9)) == 1.0


def test_p_values_are_uniform_where_nothing_differs():
    """Two answers of the same quality on 100 tracks: about one in twenty pairs is below .05."""
    rng, below = np.random.default_rng(0), 0
    for _ in range(200):
        both = rng.random((2, 100)) < 0.6
        draws = rng.integers(0, 100, (400, 100))
        below += bootstrap_p((both[0].astype(float) - both[1])[draws].mean(1)) < 0.05
    assert 3 <= below <= 20


def test_rows_of_other_tracks_are_refused():
    rows = rows_of([run(keys(30)), run(keys(15, 20), "probe")])
    with pytest.raises(ValueError, match="not tested on the same tracks"):
        compare(rows, rows[1])
    assert list(comparisons(rows, "probe")) == []  # a page leaves them out


def test_macro_precision_is_compared_by_resamples_alone():
    def tags(share):
        return [Prediction(["a"], None, {"probabilities": {"a": float(n), "b": float((n * 7) % 40 < share)}})
                for n in range(40)]  # fmt: skip

    rows = rows_of([run(tags(40), task="tagging"), run(tags(5), "probe", task="tagging")])
    (found,) = compare(rows, rows[1])
    assert found.test == "" and np.isnan(found.p_tracks) and 0 < found.p <= 1


def study():
    plain = plain_row("chroma template", "key", run(keys(12)).result["tasks"]["key"])
    return [plain, *rows_of([
        run(keys(38)), run(keys(37), "adapter"), run(keys(10), "probe"),
        run(keys(20), backbone={"name": "mini", "weights": "random"}),
        run(["C major"] * 0 + [120.0] * 30 + [60.0] * 10, task="tempo", data="gtzan_rhythm"),
        run([120.0] * 10 + [80.0] * 30, "probe", task="tempo", data="gtzan_rhythm"),
    ])]  # fmt: skip


def test_the_paper_table_marks_best_and_not_worse_in_each_block():
    found = paper_table(study())
    assert [(c.task, c.data, c.metric) for c in found.columns] == [
        ("key", "demo", "weighted_score"), ("tempo", "gtzan_rhythm", "accuracy1"),
    ]  # fmt: skip
    assert list(found.blocks) == ["", "mini", "mini weights=random"]
    text = markdown(found)
    assert "| chroma template | 0.300 | – |" in text
    assert "| mini lora | **0.950** | **0.750** |" in text
    assert "| mini adapter | <u>0.925</u> | – |" in text
    assert "| mini probe | 0.250 | 0.250 |" in text
    assert "| mini weights=random lora | 0.500 | – |" in text  # alone in its block: no mark


def test_latex_is_balanced_and_escaped():
    text = latex(paper_table(study()))
    assert text.count("{") == text.count("}") and r"weighted\_score" in text
    assert r"\textbf{0.950}" in text and r"\underline{0.925}" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in body} == {2}


@pytest.mark.parametrize(
    ("truth", "answer", "place"),
    [("C major", "C major", (0, True)), ("C major", "G major", (1, True)), ("C major", "F major", (11, True)),
     ("C major", "A minor", (0, False)), ("A minor", "E minor", (1, True)), ("Db major", "C major", (5, True)),
     ("C major", "none", None)],
)  # fmt: skip
def test_places_on_the_circle_of_fifths(truth, answer, place):
    assert plots.fifths_away(truth, answer) == place


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (120, "right"),
        (124, "right"),
        (60, "half"),
        (240, "double"),
        (80, "2/3"),
        (180, "3/2"),
        (160, "4/3"),
        (102, "other"),
    ],
)
def test_kinds_of_tempo(answer, kind):
    assert plots.kind_of_tempo(120.0, answer) == kind
    assert plots.kind_of_tempo([answer, 120.0], answer) == "right"  # one of two annotated tempi


def compared(rows):
    return {task: list(comparisons(own, "probe")) for task, own in by_task(rows).items()}


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not the open one."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_everything_and_is_whole():
    rows = study()
    text = page("A <study>", rows, paper_table(rows), compared(rows), "probe")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == [] and {"table", "svg", "figure"} <= parser.seen
    assert "A &lt;study&gt;" in text and not re.search(r"(src|href)=.http", text)  # nothing is loaded from elsewhere
    for said in ("Against probe", "answered keys of lora", "kinds of error", "score against the cost", "McNemar"):
        assert said in text, said


def test_drawings_are_whole_and_the_same_every_time():
    key = [row for row in study() if row.task == "key"]
    drawing = plots.against_cost(key, "train_cpu_s")
    ET.fromstring(drawing)
    assert drawing == plots.against_cost(key, "train_cpu_s")
    assert plots.against_cost(key[:2], "train_cpu_s") is None and plots.against_labels(key) is None


def test_curves_over_labels_say_how_many_are_enough():
    def few(n_train, n_right, method="lora"):
        found = run(keys(n_right), method, training={"tracks": n_train})
        found.result["protocol"]["tracks"]["train"] = n_train
        return found

    rows = rows_of([few(10, 12), few(200, 39), few(50, 38), few(10, 20, "probe"), few(200, 20, "probe")])
    assert plots.labels_needed(rows) == [
        "lora: 50 training tracks give 0.950, at least 95% of the 0.975 that 200 give",
        "probe: 10 training tracks give 0.500, at least 95% of the 0.500 that 200 give",
    ]
    ET.fromstring(plots.against_labels(rows))
    assert "50 training tracks give" in page("few", rows, paper_table(rows), compared(rows), "probe")


def test_curves_below_zero_are_told_by_their_end():
    rows = [Row("lora", "regression", "r2", [score], (-1.0, 0.0), 9, n_train=n, config={"method": [{"name": "lora"}]})
            for n, score in ((10, -0.9), (200, -0.2))]  # fmt: skip
    (told,) = plots.labels_needed(rows)
    assert told.startswith("lora: 200 training tracks give -0.200")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"task": "key+tempo", "method": "lora+prefix"},
        {"method": {"name": "lora", "r": 4}, "training": {"steps": 5, "augment": ["gain"], "head_first": {"steps": 3}}},
        {"backbone": {"name": "musicfm", "depth": 6}, "head": {"layers": "1-3", "hidden": 0}},
    ],
)
def test_a_command_gives_the_config_it_was_made_of(values):
    config = build(Config, values).resolved()
    words = shlex.split(command_of(config))
    assert words[:3] == ["sordino", "train", "demo"]
    assert load_config(None, words[3:], data=words[2]).resolved() == config


def test_the_verb_reports_finished_runs_again(tmp_path):
    for number, found in enumerate([run(keys(38)), run(keys(10), "probe")]):
        folder = tmp_path / "runs" / f"r{number}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(found.result))
    told = CliRunner().invoke(group, ["report", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    assert told.exit_code == 0, told.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "table.md", "table.png", "paper.md", "paper.tex", "scores.csv", "comparisons.csv",
                     "gains.md", "report.json"}  # fmt: skip
    assert "lora,+0.700" in (tmp_path / "out" / "comparisons.csv").read_text()
    whole = json.loads((tmp_path / "out" / "report.json").read_text())
    assert whole["rows"][0]["train_cpu_s"] == 30.0 and whole["comparisons"][0]["other"] == "probe"
    line = next(line for line in (tmp_path / "out" / "gains.md").read_text().splitlines() if "| lora |" in line)
    low, high = whole["comparisons"][0]["interval"]
    assert 0.5 < low < 0.7 < high < 0.9
    assert line.split(" | ")[2:] == ["30", f"**0.950** ({low:+.3f} to {high:+.3f}) |"]
    (tmp_path / "empty").mkdir()
    empty = CliRunner().invoke(group, ["report", str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
    assert empty.exit_code != 0 and "no finished run" in empty.output


def test_a_report_of_rows_without_tracks_says_what_it_can(tmp_path):
    rows = [
        Row("lora", "key", "weighted_score", [0.7], (0.6, 0.8), 10, "w", 5, 0.1, config=build(Config, {}).resolved())
    ]
    write_report(rows, tmp_path, "bare")
    assert "0.700" in (tmp_path / "paper.md").read_text()


def test_gains_say_where_a_score_is_undefined():
    row = {"name": "probe", "task": "beat", "metric": "f_measure", "n_tracks": 9, "share": None, "train_cpu_s": None,
           "config": None, "n_train": None, "machine": None}  # fmt: skip
    told = {"rows": [row | {"scores": [None, None]}, row | {"task": "key", "scores": [None, 0.5]}], "against": "probe",
            "comparisons": []}  # fmt: skip
    assert "| probe | – | – | undefined | 0.500 |" in gains.markdown(told)
