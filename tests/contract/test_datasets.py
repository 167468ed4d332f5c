"""What every dataset keeps, known or new, read through a miniature of its true layout: nothing here names one."""

import pytest

from sordino import registry
from sordino.checks import datasets
from sordino.checks.running import NotAsked, checks

NAMES = [
    name if version is None else f"{name}:{version}"
    for name in registry.names("dataset")
    for version in (None, *registry.find("dataset", name).versions)
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", checks(datasets), ids=lambda check: check.__name__)
def test_it_keeps(check, name, tmp_path):
    try:
        check(datasets.DatasetCase(name, tmp_path))
    except NotAsked as why:
        pytest.skip(str(why))
