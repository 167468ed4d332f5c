"""`sordino check` tells what a file keeps and what it breaks, and where."""

import json
import re

import pytest
from click.testing import CliRunner

from sordino import outside, registry
from sordino.checks import methods, verdict
from sordino.checks.running import checks, promise, run
from sordino.cli import group
from tests.unit.test_outside import here  # noqa: F401  (a fixture)


@pytest.fixture
def asked(here, monkeypatch):  # noqa: F811
    """Checks on two backbones, so that it takes a moment."""
    own = registry.names
    monkeypatch.setattr(registry, "names", lambda kind: ["mini", "key_cnn"] if kind == "backbone" else own(kind))

    def check(*words):
        told = CliRunner().invoke(group, ["check", "--quiet", *words])
        return told.exit_code, told.output

    return check


def test_a_method_that_keeps_all(asked):
    code, told = asked("my_methods.py", "--json")
    found = json.loads(told)
    assert code == 0 and (found["kind"], found["name"]) == ("method", "gate")
    assert {line["promise"] for line in found["promises"]} == {promise(check) for check in checks(methods)}
    by = {line["outcome"] for line in found["promises"]}
    assert by == {"kept", "not asked"}


@pytest.mark.parametrize(
    ("right", "wrong", "broken"),
    [
        ("torch.ones(dim", "torch.zeros(dim", "exactly the bare backbone's"),
        ("site.dim_out for site", "1 + site.dim_out for site", "as many parameters as its formula says"),
        ("update * self.gate", "update.roll(1, 1) * self.gate", "A clip in a padded batch"),
        ("2020", "20", "It has a title, a paper, a year"),
    ],
)
def test_a_method_that_breaks_one(right, wrong, broken, asked, here):  # noqa: F811
    path = here / "my_methods.py"
    path.write_text(path.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    code, told = asked("my_methods.py:Gate")
    assert code == 1
    (line,) = [line for line in told.splitlines() if "BREAKS" in line and broken in line]
    assert re.search(rf"{re.escape(line)}\n +mini: AssertionError.*\(methods.py:\d+: ", told)


def test_a_name_of_the_package_and_a_place_that_is_none(asked):
    code, told = asked("key", "tempo")
    assert code == 0 and "task key" in told and "task tempo" in told and "BREAKS" not in told
    assert asked("none.py")[0] == 1


def test_a_method_without_a_place(asked, here):  # noqa: F811
    path = here / "my_methods.py"
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace('"after.attn", "after.ffn"', '"after.lunch",'), encoding="utf-8")
    outside.use("my_methods.py")
    with pytest.raises(ValueError, match=r"gate has a place on no backbone: gate: role after.lunch matches nothing on"):
        verdict.verdict("method", "gate")


def test_whatever_a_check_raises_is_what_was_found():
    def stops(case):
        """It stops.

        Never told.
        """
        raise RuntimeError("no\nmore")

    assert tuple(run(stops, None)) == ("It stops.", "broken", "RuntimeError: no more")
