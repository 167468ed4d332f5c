"""docs/add_a_task.md and docs/tasks.md are true: the example keeps the contract of tasks, every task is listed."""

import re
from pathlib import Path

import sordino
from sordino import registry
from sordino.checks import tasks
from sordino.checks.running import checks, run
from sordino.tasks import make_task

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_keeps_the_contract(tmp_path, forget_outside):
    [code] = re.findall(r"```python\n(.*?)```", (DOCS / "add_a_task.md").read_text(), re.DOTALL)
    (tmp_path / "metre.py").write_text(code)
    sordino.use(tmp_path / "metre.py")
    found = [run(check, tasks.TaskCase("metre")) for check in checks(tasks)]
    assert [finding for finding in found if finding.outcome == "broken"] == []


def test_the_page_of_tasks_lists_every_task_with_its_metrics():
    page = (DOCS / "tasks.md").read_text()
    for name in registry.names("task"):
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"`{make_task(name).metric}`" in row
