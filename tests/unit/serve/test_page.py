"""The page in Chromium without a screen: a sound is dropped or recorded, answered, drawn, played and sought in; folders
are labelled."""

import gc
import io
import shutil
import warnings
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile

from sordino.serve.limits import Limits
from sordino.serve.residents import Residents
from sordino.tasks import make_task
from tests.browser import CHROMIUM, DRIVER, browser
from tests.conftest import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # of Gradio: deprecated names, sockets that it leaves open
PLAYER = "const page = document.querySelector('iframe.sordino-player')?.contentDocument;"
SOUND = f"{PLAYER} const sound = page?.getElementById('sound');"
# Where the line of the position is, as a share of the width: the only thing drawn at 150 of the canvas's 174 pixels.
LINE = f"""{SOUND} if (!sound) return false; const near = page.getElementById('near');
const y = Math.round(near.height * 150 / 174);
const row = near.getContext('2d').getImageData(0, y, near.width, 1).data;
const line = [...row.keys()].filter(i => i % 4 === 3 && row[i]).map(i => (i + 1) / 4 / near.width)[0];"""
TONE_HZ = 523.0


@pytest.fixture(scope="module")
def opened(shelf, song, tmp_path_factory):
    """The page of a server with two adapters of one task, and a folder of three songs; the microphone hears a tone."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromium-driver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Gradio's own imports
        pytest.importorskip("gradio")
        from sordino.serve.running import Server

        folder, tone = tmp_path_factory.mktemp("page"), np.sin(2 * np.pi * TONE_HZ * np.arange(48_000) / 48_000)
        soundfile.write(folder / "tone.wav", 0.5 * tone, 48_000)
        (folder / "songs").mkdir()
        for name in "abc":
            shutil.copy(song, folder / "songs" / f"{name}.wav")
        adapters = {**shelf, "mood2": shelf["mood"]}
        residents = Residents(adapters, {"tempo": make_task("tempo")}, device="cpu", precision="float32")
        server = Server(residents, Limits())
        server.add_page([folder / "songs"], folder / "labels", TINY, segment_s=2.0)
        with server, browser(folder / "profile", heard=folder / "tone.wav") as opened:
            yield opened, server.address, folder / "labels"
    del server, opened
    gc.collect()  # while warnings of what Gradio leaves open are still ignored


@pytest.fixture
def window(opened):
    """The page, opened anew."""
    opened[0].open(opened[1])
    return opened[0]


def test_a_sound_is_played_and_the_line_follows(window, song):
    window.upload(song)
    assert window.wait(f"{LINE} return sound.readyState > 0 && line < 0.01")
    window.run(f"{SOUND} sound.loop = true")  # so that a slow machine still finds it playing
    window.press("#sound", 18, "iframe.sordino-player")  # the first of the browser's own controls
    line = window.wait(f"{LINE} return !sound.paused && line > 0.05 && line")
    window.wait(f"{LINE} return !sound.paused && Math.abs(line - arguments[0]) > 0.1", line)
    window.run(f"{SOUND} sound.pause()")
    window.wait(f"{LINE} return sound.paused && Math.abs(line - sound.currentTime / sound.duration) < 0.01")
    assert window.errors() == []


def test_what_the_microphone_hears_is_answered(window):
    window.wait("return !!document.querySelector('[aria-label=\"Record audio\"]')")
    window.run("document.querySelector('[aria-label=\"Record audio\"]').click()")
    window.click("Record")
    window.see("0:02")
    window.click("Stop")
    source = window.wait(f"{SOUND} return sound && sound.readyState > 0 && sound.src")
    with urlopen(source) as recorded:
        wave, rate_hz = soundfile.read(io.BytesIO(recorded.read()), always_2d=True)
    spectrum = np.abs(np.fft.rfft(wave[:, 0] * np.hanning(len(wave))))
    assert len(wave) > rate_hz
    assert np.argmax(spectrum) * rate_hz / len(wave) == pytest.approx(TONE_HZ, abs=1)
    assert window.run("return !!document.querySelector('.sordino svg')")  # the answer
    assert window.errors() == []


def test_a_sound_is_drawn_sought_compared_and_labelled(window, opened, song):
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
    assert (opened[2] / "songs" / "labels.csv").exists()
    window.click("Listen", "button[role=tab]")
    window.see("labels-songs")  # what was learned answers at once
    assert window.errors() == []
