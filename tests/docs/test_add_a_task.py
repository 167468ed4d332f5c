"""docs/add_a_task.md and docs/tasks.md are true: the example keeps the contract of tasks, every task is listed."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from sordino import registry
from sordino.tasks import make_task

DOCS = Path(__file__).parents[2] / "docs"
CONTRACT_FILE = Path(__file__).parents[1] / "contract" / "test_tasks.py"


def module_from(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


CONTRACT = module_from(CONTRACT_FILE, "contract_of_tasks")
PROMISES = [value for name, value in vars(CONTRACT).items() if name.startswith("test_")]


@pytest.fixture
def metre(tmp_path):
    [code] = re.findall(r"```python\n(.*?)```", (DOCS / "add_a_task.md").read_text(), re.DOTALL)
    (tmp_path / "metre.py").write_text(code)
    return module_from(tmp_path / "metre.py", "metre").Metre


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_example_keeps_the_contract(metre, promise):
    task = metre()
    known = {"case": (task, [task.parse(example) for example in task.examples]), "sound": "silence"}
    promise(**{name: known[name] for name in inspect.signature(promise).parameters})


def test_the_page_of_tasks_lists_every_task_with_its_metrics():
    page = (DOCS / "tasks.md").read_text()
    for name in registry.names("task"):
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"`{make_task(name).metric}`" in row
