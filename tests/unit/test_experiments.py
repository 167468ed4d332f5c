"""Every shipped study: names real things, has the paper's protocol where it says so, is told, and runs in miniature."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from sordino import registry
from sordino.adapter_file import read_card
from sordino.cli.study import command
from sordino.config import specs
from sordino.datasets import load_dataset, with_test_of
from sordino.petl import make_method, parse_methods
from sordino.registry import find
from sordino.study import estimate, side_by_side
from sordino.study.grid import read_study
from sordino.study.rows import rows_of
from sordino.study.speed import Speed
from sordino.tasks import make_task
from sordino.training import plan

FILES = sorted(Path("experiments").glob("*/*.toml"))
CORPORA = [path for path in FILES if path.parent.name not in ("demo", "ready", "transfer", "evidence")]
TRANSFER = [path for path in FILES if path.parent.name in ("transfer", "evidence")]
PAPER = [path for path in FILES if path.parent.name == "paper"]
AGAIN = [path for number, path in enumerate(PAPER) if number % 4 in (1, 2)]  # another has the corpus
EVERY = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
SMALL = ("short_cnn", "tempo_cnn", "key_cnn", "beat_tcn", "transformer")


@functools.cache
def shape(name):
    """A tiny network to count parameters by."""
    return tiny(name)


def tiny_name(config):
    return specs(config.backbone, "backbone")[0]["name"]


def tiny(name, **options):
    """With four layers where a study names them."""
    cls = find("backbone", name)
    return cls.load("random", n_layers=4, dim=32, n_heads=2) if name == "mini" else cls.tiny()


def kind_of(config):
    """What makes a run another kind of run: not the weights, nor which attached method or task went before."""
    tables = [{"method": config.method}, *config.after]
    whole = [name for table in tables for name in ("probe", "finetune") if f"{name!r}" in repr(table.get("method"))]
    return str([whole, len(config.after), config.after_as, config.task, config.head, tiny_name(config)])


def one_seed(path):
    """The words that leave a study one seed."""
    return ["grid.seed=[0]"] if "seed = [" in path.read_text() else []


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """All named corpora in miniature, where they are looked for."""
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SORDINO_DATA", str(root))
        for name in registry.names("dataset"):
            dataset = find("dataset", name)
            if not dataset.builtin and name not in ("folder", "rendered"):
                dataset.miniature(dataset.default_root())
        yield root


@EVERY
def test_a_study_is_sound(path):
    configs = read_study(path, one_seed(path))
    assert len({json.dumps(config.deciding()) for config in configs}) == len(configs)
    for config in configs:
        dataset = with_test_of(load_dataset(config.data), config.test)
        backbone = shape(tiny_name(config))
        labels = {label for part in getattr(dataset, "parts", [dataset]) for label in part.labels}
        assert {make_task(**spec).label for spec in specs(config.task, "task")} <= labels
        for spec in specs(config.method, "method"):
            make_method(**spec).n_parameters(backbone)


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_a_study_of_the_paper_has_the_papers_protocol(path):
    mert = path.stem.endswith("mert")
    named = {}
    for config in read_study(path):
        (method,), backbone = parse_methods(config.method), config.resolved()["backbone"]
        named.setdefault((method.name, backbone["name"]), []).append(config)
        training = config.training
        assert training.precision == "bf16" and training.crops == "random" and training.cache == "off"
        assert (training.batch_size, training.clip, training.weight_decay, training.lr_min) == (16, 1.0, 0.0, 1e-7)
        assert config.head == {"layers": "last", "pool": "mean", "dropout": 0.5}
        assert training.schedule == ("constant" if method.name == "probe" else "cosine")
        if backbone["name"] in SMALL:
            assert method.name == "finetune" and method.backbone_learning_rate == training.lr
            continue
        assert backbone["depth"] == 6 and backbone.get("normalise") is (False if mert else None)
        assert training.segment_s == (5.0 if mert else 29.99)
        assert training.lr == (1e-5 if method.name == "finetune" else 1e-4)
        if method.name == "finetune":
            assert method.frontend and method.backbone_learning_rate is None and method.layer_decay == 1.0  # 1e-5
        if method.name == "adapter":
            assert (method.bottleneck, method.activation, method.down_bias) == (16, "gelu", "zero")
            assert method.layer_norms
    assert [len(configs) for configs in named.values()] == [3] * 9
    large = {name for name, backbone in named if backbone not in SMALL}
    assert large == {"finetune", "probe", "adapter", "prompt", "prefix", "bitfit", "ssf", "lora"}


@EVERY
def test_a_study_tells_what_it_will_take_without_data_and_weights(path, monkeypatch, tmp_path):
    monkeypatch.setattr(estimate, "load_backbone", tiny)
    monkeypatch.setattr("sordino.study.speed.TRIALS_S", 0.0)
    monkeypatch.setattr(estimate, "TRIAL_S", 0.5)
    if path.parent.name != "demo":  # which has all methods
        monkeypatch.setattr(estimate, "measured", lambda *_: Speed(1e-3, 1e-2, 1e-2))
    monkeypatch.setenv("SORDINO_DATA", str(tmp_path))
    words = [str(path), *one_seed(path), "--dry-run", "--out", str(tmp_path / "runs")]
    told = CliRunner().invoke(command, words, catch_exceptions=False)
    lines = told.stdout.splitlines()
    configs = read_study(path, one_seed(path))
    assert told.exit_code == 0 and not (tmp_path / "runs").exists()
    total = next(number for number, line in enumerate(lines) if line.startswith("in all"))
    assert lines[total].startswith(f"in all {len(configs)} runs, ")
    assert total - 1 == len({json.dumps({**c.deciding(), "seed": 0}) for c in configs})
    if path in CORPORA:
        assert " 0.0 GB to be stored" in lines[total]  # a normal disk will do
        assert any(line.startswith(f"not here: {configs[0].data.partition(':')[0]}: ") for line in lines)
        hours = {float(line.split()[-4]) for line in lines[1:total]}
        assert len(hours) == 1 and hours.pop() > 1


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path in AGAIN else []) for path in CORPORA],
)
def test_a_study_runs_in_miniature(path, corpora, monkeypatch, tmp_path):
    """All rows, one step each, on tiny backbones and a handful of tones."""
    monkeypatch.setattr(side_by_side, "load_backbone", tiny)
    named = ["training.steps=1", "training.batch_size=2", "training.workers=0"]
    named += one_seed(path)
    configs = read_study(path, named)
    for config in configs:
        config.training.steps = 1  # of those that have their own too
    told = []
    runs = side_by_side.run_all(configs, tmp_path, before=lambda plans: told.extend(plans))
    assert len(told) == len(runs) == len(configs)
    assert all(run.result["steps"] == 1 and run.result["protocol"]["crops"] == "random" for run in runs)
    rows = rows_of(runs)
    assert len({row.name for row in rows}) == len(rows) == len(configs)
    assert all(row.n_tracks > 0 for row in rows)


@pytest.mark.parametrize("path", TRANSFER, ids=lambda path: path.stem)
def test_a_study_of_our_own_runs_in_miniature(path, monkeypatch, tmp_path):
    demo = load_dataset("demo")
    tracks = demo.tracks()
    few = [t for split in ("train", "validation", "test") for t in [x for x in tracks if x.split == split][:4]]
    monkeypatch.setattr(demo, "tracks", lambda: few)
    monkeypatch.setattr(plan, "load_dataset", lambda name, root=None: demo)
    monkeypatch.setattr(side_by_side, "load_backbone", tiny)
    named = [*one_seed(path), "training.batch_size=2", "training.tracks=4"]
    named += ['grid.task=["beat"]'] if "\ntask =" in path.read_text().partition("[grid]")[2] else []
    configs = read_study(path, named)
    configs = list({kind_of(config): config for config in configs}.values())
    once = {"steps": 1, "validate_every": 1}
    for config in configs:
        config.training = replace(config.training, **once, head_first=once if config.training.head_first else {})
        for table in config.after:
            table["training"] = {**table.get("training", {}), **once}
    runs = side_by_side.run_all(configs, tmp_path)
    rows = rows_of(runs)
    assert len({(row.task, row.name) for row in rows}) == len(rows)
    assert len(rows) == sum(len(config.resolved()["task"]) for config in configs)
    for run, config in zip(runs, configs, strict=True):
        n_beneath = len(config.after) if config.after_as == "frozen" else 0
        assert read_card(run.adapter)["frozen_methods"] == n_beneath


def test_several_corpora_are_one(tmp_path):
    together = load_dataset("demo+demo")
    tracks = together.tracks()
    assert len(tracks) == 2 * len(load_dataset("demo").tracks())
    assert tracks[0].id.startswith("demo/")
    with pytest.raises(ValueError, match="--root can name one corpus only"):
        load_dataset("demo+demo", tmp_path)
