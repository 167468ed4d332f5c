"""What training imports, and what it leaves alone."""

import importlib.util
import subprocess
import sys

import pytest

from sordino.training.devices import absent


def test_metrics_that_are_not_ours_are_not_imported():
    assert importlib.util.find_spec("torchmetrics"), "install the extra `test`"
    code = """if True:
        import sys
        import sordino.training.run
        print([name for name in sys.modules if name.partition(".")[0] == "torchmetrics"])
        import torchmetrics
        print(torchmetrics.__name__)"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "[]\ntorchmetrics\n"


def test_a_package_is_absent_only_meanwhile_and_only_if_it_was():
    with absent("this"), pytest.raises(ImportError):
        importlib.import_module("this")
    assert "this" not in sys.modules
    with absent("json"):
        assert importlib.import_module("json") is sys.modules["json"]
