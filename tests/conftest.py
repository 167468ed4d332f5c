"""What every test shares: one thread, a cache of its own, and a small labelled folder of pure triads."""

import csv
import importlib.util
import os
import pkgutil

import jaxtyping
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# On processors with AMX, oneDNN of torch 2.13 convolves 8 channels by kernels of width 8 wrongly in bfloat16; only tiny
# networks have such convolutions.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")

# Annotations are checked wherever they may name an array; these modules have none, and are called most often.
WITHOUT_ARRAYS = {"files", "registry", "rules", "settings"}
_places = importlib.util.find_spec("sordino").submodule_search_locations
_checked = [name for _, name, _ in pkgutil.iter_modules(_places, "sordino.") if name[8:] not in WITHOUT_ARRAYS]
jaxtyping.install_import_hook(_checked, "tests.typechecker.check")

import torch  # noqa: E402

from tests.known_audio import chord, key_label  # noqa: E402

pytest.register_assert_rewrite("sordino.checks")  # its asserts tell what they saw
RATE_HZ = 24_000
TINY = {"name": "mini", "weights": "random", "n_layers": 2, "dim": 32, "n_heads": 2}


@pytest.fixture(autouse=True, scope="session")
def _one_thread_and_own_cache(tmp_path_factory):
    torch.set_num_threads(1)
    os.environ["SORDINO_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield


@pytest.fixture(autouse=True)
def _forget_flags():
    """One test's `--quiet` is not the next one's."""
    from sordino.cli._common import forget

    yield
    forget()


@pytest.fixture
def forget_outside(monkeypatch):
    """Nothing from outside of the package is known, as in a new process; the function forgets it once more."""
    from sordino import outside

    def forget():
        for name, empty in (("_used", {}), ("_files", {}), ("_read", set())):
            monkeypatch.setattr(outside, name, empty)
        monkeypatch.setenv(outside.PLUGINS, "")

    forget()
    return forget


@pytest.fixture(scope="session")
def triads(tmp_path_factory):
    """A table of 24 clips of pure triads, one in each key but only 6 keys, with splits."""
    import soundfile

    folder = tmp_path_factory.mktemp("triads")
    rows = []
    for number in range(24):
        tonic, mode = [(0, "major"), (7, "major"), (2, "major"), (9, "minor"), (4, "minor"), (5, "major")][number % 6]
        wave = 0.05 * chord(tonic, mode[:3], 2.0 + 0.1 * (number // 6), rate_hz=RATE_HZ)
        soundfile.write(folder / f"clip {number}.wav", wave, RATE_HZ)
        split = ["train", "train", "validation", "test"][number // 6]
        row = {"path": f"clip {number}.wav", "key": key_label(tonic, mode), "tempo": 80 + 5 * number, "split": split}
        rows.append(row)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "labels.csv"
