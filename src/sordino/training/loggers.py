"""Where a run's validations are told beside `log.jsonl`: TensorBoard, trackio, wandb. Each is an optional extra.

trackio and wandb have the same interface; the run is known there by its folder's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

PROJECT = "sordino"
Log = Callable[[int, Mapping[str, float]], None]


@contextmanager
def opened(names: Sequence[str], folder: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """A function (step, values by name) that tells all of these loggers.

    Args:
        names: some of `config.LOGGERS`.
        folder: of the run.
        config: its settings.

    Raises:
        ImportError: one is not installed; says how to install it.
    """
    with ExitStack() as stack:
        logs = [stack.enter_context(_opened(name, folder, config)) for name in names]

        def log(step: int, values: Mapping[str, float]) -> None:
            for each in logs:
                each(step, values)

        yield log


@contextmanager
def _opened(name: str, folder: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    if name == "tensorboard":
        writer = _needed("torch.utils.tensorboard", name).SummaryWriter(str(folder / name))

        def add(step: int, values: Mapping[str, float]) -> None:
            for key, value in values.items():
                writer.add_scalar(key, value, step)

        try:
            yield add
        finally:
            writer.close()
        return
    module = _needed(name, name)
    run = module.init(project=PROJECT, name=folder.name, config=dict(config))
    try:
        yield lambda step, values: run.log(dict(values), step=step)
    finally:
        run.finish()


def _needed(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"training.loggers: {name} is not installed; pip install 'sordino[{name}]'") from error
