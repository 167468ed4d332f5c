"""The search of a study: the same budget for every row, and the best candidate where it is known."""

import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from sordino.cli import group
from sordino.study.grid import read_study
from sordino.study.tuning import Span, read_search, searched
from sordino.training.plan import Run

STUDY = """
data = "demo"
[training]
steps = 100
[grid]
method = ["probe", "lora", {{method = "lora+adapter", training = {{lr = 5e-2}}}}]
seed = [3, 4]
[search]
{search}
[search.over]
"training.lr" = {{low = 1e-4, high = 1e-1, log = true}}
"method.r" = [1, 2, 4, 8]
"""


def study(tmp_path, search=""):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(search=search))
    return read_study(path), read_search(path)


class Trainer:
    """Stands for training: the score falls with the distance of the rate from 1e-2, and that of r from 4."""

    def __init__(self):
        self.trained = []

    def __call__(self, configs):
        self.trained.append(configs)
        return [Run(Path(), self.result(config)) for config in configs]

    def result(self, config):
        r = [spec["r"] for spec in config.resolved()["method"] if "r" in spec]
        lr = config.training.lr or 1e-4
        score = -abs(math.log10(lr) + 2) - abs((r or [4])[0] - 4)
        return {"best_validation": score, "steps": config.training.steps}


@pytest.mark.parametrize("by", ["halving", "tpe"])
def test_the_best_candidate_is_found_and_every_row_costs_the_same(by, tmp_path):
    if by == "tpe":
        pytest.importorskip("optuna")
    configs, search = study(tmp_path, f'candidates = 24\nby = "{by}"')
    trainer = Trainer()
    chosen, found = searched(configs, search, trainer)
    probe, lora, both = found
    assert probe.chosen.keys() == {"training.lr"}  # a probe has no rank
    assert lora.chosen.keys() == both.chosen.keys() == {"training.lr", "method.r"}
    assert all(abs(one.score) < 0.5 for one in found)
    assert lora.chosen["method.r"] == 4
    assert len({one.steps for one in found}) == 1
    assert [config.seed for config in chosen] == [3, 4] * 3
    assert all(config.training.steps == 100 for config in chosen)
    assert chosen[2].resolved()["method"] == [{"name": "lora", "r": 4}]
    names = [[spec["name"] for spec in config.resolved()["method"]] for config in chosen]
    assert names[-1] == ["lora", "adapter"]
    assert all(config.seed == 3 for trained in trainer.trained for config in trained)  # judged with one seed


def test_what_stands_is_a_candidate(tmp_path):
    configs, search = study(tmp_path, "candidates = 1")
    chosen, found = searched(configs, search, Trainer())
    assert [one.chosen for one in found] == [{}] * 3
    assert [config.resolved() for config in chosen] == [config.resolved() for config in configs]


def test_halving_leaves_the_worst_behind(tmp_path):
    configs, search = study(tmp_path, "candidates = 16\nrungs = [0.1, 0.4, 1.0]\nkeep = 4")
    trainer = Trainer()
    _, found = searched(configs, search, trainer)
    assert [len(trained) for trained in trainer.trained] == [48, 12, 3]
    assert [trained[0].training.steps for trained in trainer.trained] == [10, 40, 100]
    assert found[0].steps == 16 * 10 + 4 * 40 + 100
    first, second, last = ([Trainer().result(config)["best_validation"] for config in trained[:n]]
                           for trained, n in zip(trainer.trained, (16, 4, 1), strict=True))  # fmt: skip
    assert second == sorted(first, reverse=True)[:4]
    assert last == second[:1]


def test_the_same_search_again_trains_the_same(tmp_path):
    configs, search = study(tmp_path)
    trainers = [Trainer(), Trainer()]
    for trainer in trainers:
        searched(configs, search, trainer)
    assert [[c.resolved() for c in own] for own in trainers[0].trained] == [
        [c.resolved() for c in own] for own in trainers[1].trained
    ]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("rungs = [0.5]", "the last 1"),
        ("rungs = [1.0, 0.5]", "each greater"),
        ("candidates = 0", "candidates"),
        ('by = "grid"', "halving or tpe"),
        ("rung = [1.0]", "did you mean"),
        ("seeds = 1", "unknown setting"),
    ],
)
def test_wrong_searches_are_one_line(search, message, tmp_path):
    with pytest.raises(ValueError, match=message) as told:
        study(tmp_path, search)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("{low = 1e-4, hight = 1e-2}", r"search\.over\.training\.lr\.hight.*did you mean"),
        ("{low = 1e-4}", r"search\.over\.training\.lr\.high is missing; it wants a number"),
        ("1e-4", "write a list of values"),
    ],
)
def test_wrong_spans_are_one_line(over, message, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(f'training = {{steps = 9}}\ngrid = {{method = ["lora"]}}\nsearch.over = {{"training.lr" = {over}}}')
    with pytest.raises(ValueError, match=message):
        read_search(path)
    path.write_text('training = {steps = 9}\ngrid = {method = ["lora"]}\nsearch = {candidates = 2}')
    with pytest.raises(ValueError, match=r"search\.over is missing; it wants a table"):
        read_search(path)


def test_the_command_line_sets_the_search_too(tmp_path):
    study(tmp_path, "candidates = 16")
    words = ["search.candidates=2", "search.by=tpe"]
    configs, search = read_study(tmp_path / "study.toml", words), read_search(tmp_path / "study.toml", words)
    assert (len(configs), search.candidates, search.by) == (6, 2, "tpe")


def test_ranges():
    assert [Span(1e-4, 1e-2, log=True).at(share) for share in (0, 0.5, 1)] == [1e-4, 1e-3, 1e-2]
    assert [Span(1, 9, whole=True).at(share) for share in (0, 0.5, 1)] == [1, 5, 9]
    with pytest.raises(ValueError, match="no range"):
        Span(2, 1)
    with pytest.raises(ValueError, match="no range"):
        Span(0, 1, log=True)


def test_the_verb_searches(triads, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(f"""
data = "{triads}"
backbone = {{name = "mini", weights = "random", n_layers = 2, dim = 32, n_heads = 2}}
training = {{steps = 4, batch_size = 6, precision = "float32"}}
grid = {{method = ["probe", "lora"]}}
[search]
candidates = 2
rungs = [0.5, 1.0]
over = {{"training.lr" = [1e-9, 1e-1]}}
""")
    done = CliRunner().invoke(group, ["study", str(path), "--out", str(tmp_path / "runs"), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert done.output.count("search, ") == 2
    dry = CliRunner().invoke(group, ["study", str(path), "--dry-run"])
    assert "2 for 50% of the steps, then 1 for 100% of the steps" in dry.output
