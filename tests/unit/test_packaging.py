"""The wheel and the source archive hold what runs, and nothing else; every extra is told of."""

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = "from setuptools import build_meta as build; build.build_sdist({0!r}); build.build_wheel({0!r})"
RUN = """
import sys
sys.path.insert(0, {0!r})
import sordino
assert sordino.__file__.startswith({0!r})
from sordino.adapters import locate
print(len(sordino.load_dataset("demo").tracks()), sordino.load_backbone("mini").weights, locate("key"))
"""


def tracked(under=""):
    """Files of the package that are under version control, relative to its root."""
    done = subprocess.run(["git", "ls-files", under], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel and a source archive, built from a copy of what is under version control."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in [*tracked("src"), "pyproject.toml", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).symlink_to(ROOT / name)
    subprocess.run([sys.executable, "-c", BUILD.format(str(out))], cwd=source, check=True, capture_output=True)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_wheel_and_archive_hold_the_whole_package_and_its_data(built):
    wanted = {name.removeprefix("src/") for name in tracked("src")}
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    assert wanted == {name for name in names if name.startswith("sordino/")}
    assert "sordino/py.typed" in names and {name.split("/")[0] for name in names} == {
        "sordino",
        f"sordino-{PROJECT['version']}.dist-info",
    }
    with tarfile.open(built[1]) as archive:
        inside = {name.partition("/src/")[2] for name in archive.getnames()}
    assert wanted <= inside
    assert built[0].stat().st_size < 60 << 20


def test_the_wheel_runs_where_nothing_else_of_the_repository_is(built, tmp_path):
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(tmp_path)
    words = [sys.executable, "-W", "error", "-c", RUN.format(str(tmp_path))]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("555 mini.safetensors") and str(tmp_path) in done.stdout


def test_every_extra_is_told_of_in_one_table():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(told) == sorted(PROJECT["optional-dependencies"])


def test_the_version_stands_in_one_place_more_than_here():
    tree = ast.parse((ROOT / "src" / "sordino" / "__init__.py").read_text(encoding="utf-8"))
    (version,) = [node.value.value for node in tree.body if isinstance(node, ast.Assign)
                  and node.targets[0].id == "__version__"]  # fmt: skip
    assert version == PROJECT["version"]
