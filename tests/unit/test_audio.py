import os

import numpy as np
import pytest

from sordino import audio

LOSSLESS = (".wav", ".flac", ".au")
LOSSY = (".ogg", ".mp3", ".opus")


def tone(seconds=3.0, rate_hz=44_100, frequency_hz=440.0):
    return (0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def stereo(path, rate_hz=44_100):
    left, right = tone(rate_hz=rate_hz), tone(rate_hz=rate_hz, frequency_hz=660.0)
    audio.write(path, np.stack([left, right], axis=1), rate_hz)
    return (left + right) / 2


@pytest.mark.parametrize("suffix", LOSSLESS + LOSSY)
def test_reads_what_was_written(tmp_path, suffix):
    path = tmp_path / f"ünï cöde{suffix}"
    rate_hz = 48_000 if suffix == ".opus" else 44_100
    mono = stereo(path, rate_hz)
    about = audio.info(path)
    assert about.sample_rate_hz == rate_hz and about.n_channels == 2
    assert about.duration_s == pytest.approx(3.0, abs=0.01)
    x = audio.read(path, rate_hz)
    assert x.dtype == np.float32 and x.shape == mono.shape
    error = np.sqrt(np.mean((x - mono)[2000:-2000] ** 2))
    assert error < (1e-4 if suffix in LOSSLESS else 0.02)


@pytest.mark.parametrize("rate_hz", [44_100, 24_000, 16_000, 22_050, 48_000])
def test_a_stretch_is_that_stretch_of_the_whole(tmp_path, rate_hz):
    stereo(tmp_path / "a.flac")
    whole = audio.read(tmp_path / "a.flac", rate_hz)
    assert len(whole) == 3 * rate_hz
    for start_s, duration_s in ((0.0, 1.0), (0.5, 1.25), (1.2345, 0.5), (2.5, 10.0)):
        first = round(start_s * rate_hz)
        part = audio.read(tmp_path / "a.flac", rate_hz, start_s, duration_s)
        expected = whole[first : first + round(duration_s * rate_hz)]
        assert len(part) == len(expected)
        np.testing.assert_allclose(part, expected, atol=1e-5)


def test_resampling_keeps_a_tone_and_drops_what_cannot_be(tmp_path):
    audio.write(tmp_path / "low.wav", tone(), 44_100)
    audio.write(tmp_path / "high.wav", tone(frequency_hz=15_000.0), 44_100)
    np.testing.assert_allclose(audio.read(tmp_path / "low.wav", 24_000), tone(rate_hz=24_000), atol=0.02)
    assert np.abs(audio.read(tmp_path / "high.wav", 24_000)[1000:-1000]).max() < 1e-3


@pytest.mark.parametrize("rate_hz", [44_100, 24_000])
def test_blocks_joined_are_the_whole(tmp_path, rate_hz):
    stereo(tmp_path / "a.ogg")
    blocks = list(audio.blocks(tmp_path / "a.ogg", rate_hz, 0.7))
    assert {len(block) for block in blocks[:-1]} == {round(0.7 * rate_hz)}
    np.testing.assert_allclose(np.concatenate(blocks), audio.read(tmp_path / "a.ogg", rate_hz), atol=1e-6)


@pytest.mark.parametrize("suffix", (*LOSSLESS[:2], *LOSSY))
def test_a_cut_off_file_is_an_error(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    stereo(path, 48_000)
    os.truncate(path, path.stat().st_size * 6 // 10)
    with pytest.raises(audio.AudioError, match=r"cut off|damaged"):
        audio.read(path, 24_000)
    with pytest.raises(audio.AudioError, match=r"cut off|damaged"):
        list(audio.blocks(path, 24_000, 1.0))


def test_minutes_can_be_written_at_once(tmp_path):
    audio.write(tmp_path / "long.ogg", np.zeros((2_000_000, 2), np.float32), 44_100)
    assert audio.info(tmp_path / "long.ogg").duration_s == pytest.approx(45.35, abs=0.01)


def test_what_is_no_audio_is_told_in_one_line(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not a sound\n" * 50)
    audio.write(tmp_path / "short.wav", tone(0.5), 44_100)
    cases = {"absent.wav": "no such file", "empty.wav": "empty file", "text.wav": "not audio", ".": "not a file"}
    for name, reason in cases.items():
        with pytest.raises(audio.AudioError, match=reason) as caught:
            audio.info(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(audio.AudioError, match=r"begins at 2 s but the file is 0\.50 s long"):
        audio.read(tmp_path / "short.wav", 24_000, 2.0)
    with pytest.raises(audio.AudioError, match=r"sound is written as \.wav"):
        audio.write(tmp_path / "a.xyz", tone(), 44_100)


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    import soundfile

    x = tone()
    x[100] = np.nan
    soundfile.write(tmp_path / "nan.wav", x, 44_100, subtype="FLOAT")
    with pytest.raises(audio.AudioError, match="not numbers"):
        audio.read(tmp_path / "nan.wav", 24_000)


def test_fingerprint_is_of_the_bytes(tmp_path):
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (audio.fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c and len(a) == 16
