"""A name is a file."""

import subprocess
import sys

import pytest

import sordino
from sordino import registry


def test_every_file_holds_a_class_of_its_name():
    for kind in registry.FOLDERS:
        assert registry.names(kind), kind
        for name in registry.names(kind):
            assert registry.find(kind, name).name == name


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match='did you mean "lora"'):
        registry.find("method", "lorra")


def test_help_imports_nothing_heavy():
    code = (
        "import sys, sordino.cli as c; c.group.main(['--help'], standalone_mode=False); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.endswith("False\n")
    assert "predict" in told


def test_import_is_light_and_the_public_names_resolve():
    assert set(sordino.__all__) == set(sordino._HOMES)
    code = "import sys, sordino; print('torch' in sys.modules); [getattr(sordino, n) for n in sordino.__all__]"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "False\n"
