"""What every backbone promises, over all files in backbones/: a new file is tested with nothing added."""

import functools

import pytest

from sordino import registry
from sordino.checks import backbones
from sordino.checks.running import checks

case = functools.cache(backbones.BackboneCase)


@pytest.mark.parametrize("name", registry.names("backbone"))
@pytest.mark.parametrize("check", checks(backbones), ids=lambda check: check.__name__)
def test_it_keeps(check, name):
    check(case(name))


def test_some_method_is_written_against_every_role():
    wanted = {role for name in registry.names("method") for role in getattr(registry.find("method", name), "roles", ())}
    assert {site.role for name in registry.names("backbone") for site in case(name).tiny.sites()} <= wanted
