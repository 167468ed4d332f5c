"""What every task keeps, known or new: nothing here names one."""

import pytest

from sordino import registry
from sordino.checks import tasks
from sordino.checks.running import NotAsked, checks


@pytest.mark.parametrize("name", registry.names("task"))
@pytest.mark.parametrize("check", checks(tasks), ids=lambda check: check.__name__)
def test_it_keeps(check, name):
    try:
        check(tasks.TaskCase(name))
    except NotAsked as why:
        pytest.skip(str(why))
