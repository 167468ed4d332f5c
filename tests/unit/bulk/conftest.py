"""Many short recordings, one of them no sound, and a tiny adapter."""

import numpy as np
import pytest
import soundfile

from tests.tiny_adapters import adapter as make


@pytest.fixture(scope="session")
def adapter(tmp_path_factory):
    return str(make(tmp_path_factory.mktemp("bulk") / "key.adapter", "key"))


@pytest.fixture
def catalogue(tmp_path):
    """A folder of 20 recordings of a quarter second; number 7 is text."""
    folder, generator = tmp_path / "music", np.random.default_rng(0)
    for number in range(20):
        path = folder / f"{number % 3}" / f"{number:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number == 7:
            path.write_text("no sound")
        else:
            soundfile.write(path, 0.1 * generator.standard_normal(4000), 16_000)
    return folder
