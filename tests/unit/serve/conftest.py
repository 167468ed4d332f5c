"""Residents with random tensors on a tiny backbone, a song, and a client of the API."""

import warnings

import pytest
import soundfile

from sordino.serve.limits import Desk, Limits
from sordino.serve.residents import Residents
from sordino.tasks import make_task
from tests.conftest import RATE_HZ
from tests.known_audio import cadence
from tests.tiny_adapters import adapter


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """Adapters in folders, by name."""
    folder = tmp_path_factory.mktemp("shelf")
    tags = make_task("tagging", tags=["calm", "loud", "odd"])
    return {
        "key": adapter(folder / "key.adapter", "key"),
        "beat": adapter(folder / "beat.adapter", "beat", "bitfit"),
        "mood": adapter(folder / "mood.adapter", tags, "probe"),
    }


@pytest.fixture(scope="session")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, 2 * cadence(9, "minor", rate_hz=RATE_HZ)[0], RATE_HZ)
    return path


@pytest.fixture
def residents(shelf):
    return Residents(shelf, {"tempo": make_task("tempo")}, device="cpu", precision="float32")


@pytest.fixture
def client(residents):
    """A function from limits to a client."""
    pytest.importorskip("fastapi")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starlette prefers the successor of httpx
        testclient = pytest.importorskip("starlette.testclient")
    from sordino.serve.api import make_api

    def make(swap=True, **limits):
        residents.limits = Limits(**limits)
        desk = Desk(residents.limits)
        made = testclient.TestClient(make_api(residents, desk, swap))
        made.desk = desk
        return made

    return make
