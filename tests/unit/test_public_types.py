"""Whoever writes against sordino sees the type of everything that it offers (pyright's strict rules)."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import sordino


@pytest.mark.slow
def test_all_that_the_package_offers_has_known_types(tmp_path):
    # pyright looks for other packages along this path alone when it verifies types
    source = str(Path(sordino.__file__).parents[1])
    path = os.pathsep.join([source, sysconfig.get_path("purelib")])
    words = [sys.executable, "-m", "pyright", "--verifytypes", "sordino", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    offered = [getattr(sordino, name) for name in sordino.__all__]
    homes = {f"{each.__module__}.{each.__name__}" for each in offered}
    classes = tuple(f"{each.__module__}.{each.__name__}." for each in offered if isinstance(each, type))
    seen = {each["name"]: each for each in symbols if each["name"] in homes or each["name"].startswith(classes)}
    assert homes <= seen.keys()
    unknown = [name for name, each in seen.items() if not each["isTypeKnown"] or each["isTypeAmbiguous"]]
    assert not unknown, unknown
