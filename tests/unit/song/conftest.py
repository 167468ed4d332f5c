"""A song whose beats and chords are known, and adapters with random tensors in the place of those that ship."""

import numpy as np
import pytest
import soundfile

from tests.conftest import RATE_HZ
from tests.known_audio import cadence, click_track
from tests.tiny_adapters import song_adapters


@pytest.fixture(scope="session")
def song(tmp_path_factory):
    """Cadences in A minor under clicks at 75 BPM, 12.8 s."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    chords = np.concatenate([cadence(9, "minor", rate_hz=RATE_HZ)[0]] * 4)
    clicks, _ = click_track(75, 4, len(chords) / RATE_HZ, 0.01, rate_hz=RATE_HZ)
    soundfile.write(path, 2 * chords + 0.3 * clicks[: len(chords)], RATE_HZ)
    return path


@pytest.fixture(scope="session")
def tiny_shipped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    song_adapters(folder)
    return folder


@pytest.fixture
def shipped(tiny_shipped, monkeypatch):
    """The folder of adapters that ship, without choices."""
    monkeypatch.setattr("sordino.adapters.FOLDER", tiny_shipped)
    return tiny_shipped


@pytest.fixture
def nothing_shipped(tmp_path, monkeypatch):
    """No adapter ships: plain estimators answer what they can."""
    monkeypatch.setattr("sordino.adapters.FOLDER", tmp_path / "none")
