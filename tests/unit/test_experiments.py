"""Every shipped experiment names real things: dataset, tasks, methods, options, augmentations."""

import json
from pathlib import Path

import pytest

from sordino.config import specs
from sordino.datasets import load_dataset
from sordino.petl import make_method
from sordino.registry import find
from sordino.study.grid import read_study
from sordino.tasks import make_task

FILES = sorted(Path("experiments").glob("*/*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_is_sound(path):
    configs = read_study(path)
    assert len({json.dumps(config.deciding()) for config in configs}) == len(configs)
    for config in configs:
        dataset = load_dataset(config.data)
        backbone = find("backbone", specs(config.backbone, "backbone")[0]["name"]).tiny()
        labels = {label for part in getattr(dataset, "parts", [dataset]) for label in part.labels}
        assert {make_task(**spec).label for spec in specs(config.task, "task")} <= labels
        for spec in specs(config.method, "method"):
            make_method(**spec).n_parameters(backbone)


def test_several_corpora_are_one(tmp_path):
    together = load_dataset("demo+demo")
    tracks = together.tracks()
    assert len(tracks) == 2 * len(load_dataset("demo").tracks())
    assert tracks[0].id.startswith("demo/")
    with pytest.raises(ValueError, match="--root can name one corpus only"):
        load_dataset("demo+demo", tmp_path)
