"""Files as they come: without a length, joined, in odd containers, or in formats that need another library."""

import importlib.util
import math
import struct

import numpy as np
import pytest
import soundfile

from sordino import audio
from sordino.decoding import av_decoder, mpeg

RATE_HZ = 44_100
NEEDS_AV = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")


def sound(seconds, frequency_hz=440.0):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.standard_normal(len(time_s)) * (time_s < seconds / 3)
    loudness = rng.uniform(0.1, 0.6, math.ceil(2 * seconds) + 1)[(2 * time_s).astype(int)]
    return (loudness * np.sin(2 * np.pi * frequency_hz * time_s) + noise).astype(np.float32)


def mp3(path, seconds, mode="CONSTANT", channels=1):
    with soundfile.SoundFile(path, "w", RATE_HZ, channels, "MPEG_LAYER_III", format="MP3", bitrate_mode=mode,
                             compression_level=0.5) as file:  # fmt: skip
        file.write(np.repeat(sound(seconds)[:, None], channels, 1))
    return path.read_bytes()


def bare(data):
    """An MP3 without its first frame, which holds the table."""
    return data[mpeg.frame_head(data, 0).n_bytes :]


def similar(found, wanted):
    """Whether two waveforms are as loud at every time, but for the delay of an encoder and what it changes."""
    n = min(len(found), len(wanted))
    energy = [np.add.reduceat(x[:n] ** 2, np.arange(0, n, RATE_HZ // 4)) for x in (found, wanted)]
    return np.corrcoef(*energy)[0, 1] > 0.98


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_without_a_table_is_read_whole(tmp_path, mode, channels):
    path = tmp_path / "a.mp3"
    data = mp3(path, 20.0, mode, channels)
    path.write_bytes(b"ID3\x04\0\0\0\0\x02\0" + bytes(256) + bare(data) + b"TAG" + bytes(125))
    assert audio.info(path).duration_s == pytest.approx(20.0, abs=0.06)
    whole = audio.read(path, RATE_HZ)
    assert len(whole) == round(audio.info(path).duration_s * RATE_HZ) and similar(whole, sound(20.0))
    for start_s in (0.0, 7.77, 18.5):
        first = round(start_s * RATE_HZ)
        stretch = audio.read(path, RATE_HZ, start_s, 1.0)
        np.testing.assert_allclose(stretch, whole[first : first + RATE_HZ], atol=1e-5)
    np.testing.assert_allclose(np.concatenate(list(audio.blocks(path, RATE_HZ, 3.0))), whole, atol=1e-6)


def test_stretches_and_blocks_of_a_variable_rate_are_those_of_the_whole(tmp_path):
    """An MP3's frame may need bits of several before it."""
    path = tmp_path / "a.mp3"
    mp3(path, 20.0, "VARIABLE")
    whole = soundfile.read(path, dtype="float32")[0]
    np.testing.assert_allclose(np.concatenate(list(audio.blocks(path, RATE_HZ, 1.5))), whole, atol=1e-5)
    for start_s in (3.0, 9.5, 13.25, 18.0):
        first = round(start_s * RATE_HZ)
        np.testing.assert_allclose(audio.read(path, RATE_HZ, start_s, 1.0), whole[first : first + RATE_HZ], atol=1e-5)


def test_what_was_counted_are_the_frames_that_the_table_tells(tmp_path):
    for mode in ("CONSTANT", "VARIABLE"):
        data = mp3(tmp_path / "a.mp3", 5.0, mode)
        place = data.find(b"Info" if mode == "CONSTANT" else b"Xing")
        status = (tmp_path / "a.mp3").stat()
        counted = mpeg.count(tmp_path / "a.mp3", status.st_size, status.st_mtime_ns)
        assert counted.n_frames == struct.unpack(">I", data[place + 8 : place + 12])[0] and not counted.gaps
        assert mpeg.understated(tmp_path / "a.mp3", status.st_size, status.st_mtime_ns) is None


def test_joined_mp3s_are_read_whole(tmp_path, capfd):
    path = tmp_path / "a.mp3"
    data = mp3(path, 4.0)
    tag = b"ID3\x03\0\0\0\0\x01\0" + bytes(128)
    path.write_bytes(data + tag + data + data)
    assert audio.info(path).duration_s == pytest.approx(12.0, abs=0.2)
    assert len(audio.read(path, RATE_HZ)) == pytest.approx(12 * RATE_HZ, abs=0.2 * RATE_HZ)
    assert capfd.readouterr().err == ""


def test_a_cut_off_mp3_is_refused_only_where_it_says_how_long_it_is(tmp_path):
    path = tmp_path / "a.mp3"
    data = mp3(path, 10.0)
    path.write_bytes(bare(data)[: len(data) // 2])
    assert audio.info(path).duration_s == pytest.approx(5.0, abs=0.1)
    assert len(audio.read(path, RATE_HZ)) > 4.8 * RATE_HZ
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(audio.AudioError, match=r"a\.mp3: cut off or damaged, .* s of 10\.00 s decoded"):
        audio.read(path, RATE_HZ)


@pytest.mark.parametrize("suffix", [".opus", ".ogg", ".au", ".wav"])
@pytest.mark.parametrize("missing_bytes", [1, 100, 5_000, 20_000])
def test_what_is_cut_off_is_refused(tmp_path, suffix, missing_bytes):
    rate_hz, path = 48_000 if suffix == ".opus" else RATE_HZ, tmp_path / f"a{suffix}"
    audio.write(path, sound(6.0), rate_hz)
    data = path.read_bytes()
    path.write_bytes(data[:-missing_bytes])
    if suffix in (".au", ".wav") and missing_bytes < 4096:  # sloppy writers; less than 0.1 s
        assert audio.info(path).duration_s > 5.9
    else:
        with pytest.raises(audio.AudioError, match=r"a\.\w+: cut off, the file ends before its sound does"):
            audio.info(path)


def ogg_pages(data):
    at = 0
    while at < len(data):
        n = data[at + 26]
        end = at + 27 + n + sum(data[at + 27 : at + 27 + n])
        yield at, end
        at = end


def with_more(data, n_frames):
    """An Ogg file whose last page says that there are so many frames more, with its checksum by the definition."""
    (begin, _end), page = list(ogg_pages(data))[-1], bytearray(data[list(ogg_pages(data))[-1][0] :])
    page[6:14] = struct.pack("<q", struct.unpack("<q", page[6:14])[0] + n_frames)
    page[22:26], value = bytes(4), 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    page[22:26] = struct.pack("<I", value)
    return bytes(data[:begin] + page)


@pytest.mark.parametrize("suffix", [".opus", ".ogg"])
@pytest.mark.parametrize("more_s", [0.13, 2.0])
def test_an_ogg_that_says_a_little_too_much_is_healthy(tmp_path, suffix, more_s):
    rate_hz, path = 48_000 if suffix == ".opus" else RATE_HZ, tmp_path / f"a{suffix}"
    audio.write(path, sound(6.0), rate_hz)
    known, data = audio.read(path, rate_hz), path.read_bytes()
    path.write_bytes(with_more(data, round(more_s * rate_hz)))
    about, found = audio.info(path), audio.read(path, rate_hz)
    assert len(found) == round(about.duration_s * rate_hz) == pytest.approx(len(known), abs=0.005 * rate_hz)
    np.testing.assert_allclose(found[: len(known)], known, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(list(audio.blocks(path, rate_hz, 1.3))), found, atol=1e-5)
    np.testing.assert_allclose(audio.read(path, rate_hz, 5.5), found[round(5.5 * rate_hz) :], atol=1e-4)
    damaged = bytearray(path.read_bytes())
    begin, _ = list(ogg_pages(damaged))[-2]
    damaged[begin + 100] ^= 0x55
    path.write_bytes(damaged)
    with pytest.raises(audio.AudioError, match=r"damaged"):
        audio.read(path, rate_hz)


def test_chained_ogg_is_read_whole_or_told(tmp_path):
    audio.write(tmp_path / "a.ogg", sound(3.0), RATE_HZ)
    audio.write(tmp_path / "b.ogg", sound(2.0, 660.0), RATE_HZ)
    audio.write(tmp_path / "c.ogg", sound(2.0), 22_050)
    a, b, c = ((tmp_path / f"{name}.ogg").read_bytes() for name in "abc")
    (tmp_path / "chain.ogg").write_bytes(a + b + a)
    whole = audio.read(tmp_path / "chain.ogg", RATE_HZ)
    parts = [audio.read(tmp_path / f"{name}.ogg", RATE_HZ) for name in "aba"]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert audio.info(tmp_path / "chain.ogg").duration_s == 8.0
    stretch = audio.read(tmp_path / "chain.ogg", RATE_HZ, 2.5, 3.0)
    np.testing.assert_allclose(stretch, whole[round(2.5 * RATE_HZ) : round(5.5 * RATE_HZ)], atol=1e-5)
    (tmp_path / "chain.ogg").write_bytes(a + c)
    with pytest.raises(audio.AudioError, match=r"2 streams of several kinds \(22050 Hz 1 ch, 44100 Hz 1 ch\)"):
        audio.info(tmp_path / "chain.ogg")
    (tmp_path / "chain.ogg").write_bytes(a + b[: len(b) // 2])
    with pytest.raises(audio.AudioError, match=r"cut off|damaged"):
        audio.read(tmp_path / "chain.ogg", RATE_HZ)


@pytest.mark.parametrize("seconds", [0.05, 3.0, 13.37])
def test_flac_from_a_pipe(tmp_path, seconds):
    path = tmp_path / "a.flac"
    audio.write(path, sound(seconds), RATE_HZ)
    known = audio.read(path, RATE_HZ)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_array_equal(audio.read(path, RATE_HZ), known)
    path.write_bytes(data[: len(data) - 50])
    if seconds > 1:
        with pytest.raises(audio.AudioError, match=r"cut off|damaged"):
            audio.read(path, RATE_HZ)


@pytest.mark.parametrize("with_table", [True, False])
def test_mp3_in_wav(tmp_path, with_table):
    data = mp3(tmp_path / "a.mp3", 5.0, "VARIABLE")
    data = data if with_table else bare(data)
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE_HZ, 16_000, 1, 0, 12, 1, 2, 417, 1, 0)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert audio.info(tmp_path / "a.wav").duration_s == pytest.approx(5.0, abs=0.06)
    assert similar(audio.read(tmp_path / "a.wav", RATE_HZ), sound(5.0))


@NEEDS_AV
@pytest.mark.parametrize("name", ["list.m3u8", "list", "list.wav"])
@pytest.mark.parametrize("text", ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:{}\n#EXT-X-ENDLIST\n",
                                  "ffconcat version 1.0\nfile secret.mp3\n"])  # fmt: skip
def test_a_list_of_other_files_is_no_sound_and_they_are_not_opened(name, text, tmp_path):
    """FFmpeg would read what the list names: a stranger's upload could name any file of this machine."""
    soundfile.write(tmp_path / "secret.mp3", sound(1.0), RATE_HZ)
    (tmp_path / name).write_text(text.format(tmp_path / "secret.mp3"))
    with pytest.raises(audio.AudioError, match="not audio"):
        audio.read(tmp_path / name, RATE_HZ)


def by_av(path, codec, container=None):
    import av

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound(6.0)[None], "fltp", "mono")
        frame.rate, frame.pts = RATE_HZ, 0
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.codec_context.format, "mono", RATE_HZ, size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


@NEEDS_AV
@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [("a.m4a", "aac", None), ("b.m4a", "alac", None), ("a.aac", "aac", "adts"), ("a.mp2", "mp2", None),
     ("a.ogg", "flac", "ogg"), ("a.wv", "wavpack", None), ("a.webm", "flac", "matroska"),
     ("a.mka", "aac", None), ("a.3gp", "aac", None),
     ("a.caf", "alac", None), ("a.mp4", "aac", None), ("a.mp3", "aac", "mp4")],
)  # fmt: skip
def test_other_formats(tmp_path, name, codec, container):
    path = by_av(tmp_path / name, codec, container)
    about = audio.info(path)
    assert about.duration_s == pytest.approx(6.0, abs=0.05) and about.sample_rate_hz == RATE_HZ
    whole = audio.read(path, RATE_HZ)
    assert len(whole) == round(about.duration_s * RATE_HZ) and similar(whole, sound(6.0))
    for start_s in (0.0, 2.345, 5.9):
        first = round(start_s * RATE_HZ)
        stretch = audio.read(path, RATE_HZ, start_s, 1.0)
        noise = 2e-3 if codec == "aac" else 1e-5  # AAC may draw noise anew
        np.testing.assert_allclose(stretch, whole[first : first + RATE_HZ], atol=noise)


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.m4a", b"\0\0\0\x20ftypM4A " + bytes(100), r"\.m4a"),
        ("a.3gp", b"\0\0\0\x20ftyp3gp4" + bytes(100), r"\.3gp"),
        ("a.mp3", b"\0\0\0\x20ftypM4A " + bytes(100), "MP4"),  # renamed, not converted
        ("a.ogg", b"OggS\0\x02" + bytes(20) + b"\x01\x33\x7fFLAC\x01\0" + bytes(100), "FLAC in Ogg"),
    ],
)
def test_what_needs_another_library_says_so(name, data, kind, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(av_decoder, "available", lambda: False)
    with pytest.raises(
        audio.AudioError, match=rf"{name}: {kind} needs `pip install 'sordino\[av\]'`, or ffmpeg -i '{name}'"
    ):
        audio.info(tmp_path / name)
    assert {".m4a", ".mp4", ".3gp", ".webm", ".caf"} < set(audio.FORMATS)  # listed with this, never skipped in silence
