"""The page in Chromium without a screen: a sound is dropped, answered, drawn and sought in; folders are labelled."""

import gc
import shutil
import warnings

import pytest

from sordino.serve.limits import Limits
from sordino.serve.residents import Residents
from sordino.tasks import make_task
from tests.browser import CHROMIUM, DRIVER, browser
from tests.conftest import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # of Gradio: deprecated names, sockets that it leaves open
PLAYER = "const page = document.querySelector('iframe.sordino-player')?.contentDocument;"
SOUND = f"{PLAYER} const sound = page?.getElementById('sound');"


@pytest.fixture
def window(shelf, song, tmp_path):
    """The page of a server with two adapters of one task, and a folder of three songs."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromium-driver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Gradio's own imports
        pytest.importorskip("gradio")
        from sordino.serve.running import Server

        (tmp_path / "songs").mkdir()
        for name in "abc":
            shutil.copy(song, tmp_path / "songs" / f"{name}.wav")
        adapters = {**shelf, "mood2": shelf["mood"]}
        residents = Residents(adapters, {"tempo": make_task("tempo")}, device="cpu", precision="float32")
        server = Server(residents, Limits())
        server.add_page([tmp_path / "songs"], tmp_path / "labels", TINY, segment_s=2.0)
        with server, browser(tmp_path / "profile") as opened:
            opened.open(server.address)
            yield opened
    del server, opened
    gc.collect()  # while warnings of what Gradio leaves open are still ignored


def test_a_sound_is_drawn_sought_compared_and_labelled(window, song, tmp_path):
    window.upload(song)
    assert window.wait(f"{SOUND} return sound && sound.readyState > 0 && sound.duration") > 1
    shown = window.run("return document.querySelector('.sordino').innerText")
    assert {"KEY", "MOOD", "TEMPO", "BEAT"} <= {line.rpartition("/")[0] or line for line in shown.upper().split("\n")}
    assert window.run("return document.querySelectorAll('.sordino svg path').length") == 24  # keys on the circle
    drawn = f"{PLAYER} const c = page.getElementById('near'); const d = c.getContext('2d').getImageData("
    drawn += "0, 0, c.width, c.height).data; return d.some(value => value > 0)"
    assert window.run(drawn)
    click = "const all = page.getElementById('all'), box = all.getBoundingClientRect();"
    click += "all.dispatchEvent(new MouseEvent('click', {clientX: box.left + box.width / 2, bubbles: true}))"
    window.run(f"{PLAYER} {click}")
    window.wait(f"{SOUND} return !sound.seeking && Math.abs(sound.currentTime / sound.duration - 0.5) < 0.02")

    window.click("Compare", "button[role=tab]")
    window.click("Compare", "button.primary")
    window.wait("return document.querySelectorAll('.sordino .track.b').length === 3")  # a bar for each tag

    window.click("Label", "button[role=tab]")
    window.click("Open")
    window.see("3 songs")
    window.click("Confirm")
    window.see("1 confirmed · 0 rejected")
    window.click("Reject")
    window.see("1 confirmed · 1 rejected")
    window.click("Save labels and adapter")
    window.see("2 labels saved")
    assert (tmp_path / "labels" / "songs" / "labels.csv").exists()
    window.click("Listen", "button[role=tab]")
    window.see("labels-songs")  # what was learned answers at once
    assert window.errors() == []
