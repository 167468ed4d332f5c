"""Arrangements, mixes and labels; the synthesiser itself where it is installed."""

import numpy as np
import pytest

from sordino.render import drums, mix
from sordino.render.abc_tunes import read_tune
from sordino.render.arrange import arrange
from sordino.render.clips import CLIP_S, LEAD_S, Request, labels, plan_clip, record_clip
from sordino.render.corpus import Job, render
from sordino.render.instruments import PALETTES, TEST, TRAIN, fold, pitch_range
from sordino.render.synth import SAMPLE_RATE_HZ, Event, MissingSynth, Synth, Voice, _library, find_soundfont

TUNE = "X:1\nT:A Tune\nM:{}\nL:1/8\nK:D\n"
REEL = read_tune(TUNE.format("4/4") + "DFAF dAFA|GBdB AFDF|GABG FGAF|EFGE D4|", "oneill")
JIG = read_tune(TUNE.format("6/8") + "DFA dAF|GBd AFD|EFG ABc|dAF D3|", "oneill")


def have_synth():
    try:
        _library()
        find_soundfont(TRAIN.soundfont)
    except MissingSynth:
        return False
    return True


@pytest.fixture(scope="module")
def synth():
    if not have_synth():
        pytest.skip("FluidSynth or its soundfont is not installed")
    synth = Synth(TRAIN.soundfont)
    yield synth
    synth.close()


def wish(piece=REEL, tempo_bpm=90.0, tonic=4, seed=(1, 2)):
    return Request("c", "train", "g", piece, TRAIN, tempo_bpm, tonic, True, seed)


def test_families_agree_in_both_palettes_and_every_program_has_a_range():
    assert TRAIN.programs.keys() == TEST.programs.keys()
    for palette in PALETTES.values():
        for family, programs in palette.programs.items():
            for program in programs:
                low, high = pitch_range(family, program)
                assert high - low >= 11
                assert low <= fold(3, low, high) <= high


@pytest.mark.parametrize("meter", drums.PATTERNS)
def test_drum_patterns_fill_their_bar_with_a_stroke_on_the_first_beat(meter):
    beats, compound = meter
    for pattern in drums.PATTERNS[meter]:
        for steps in pattern.values():
            assert [len(beat) for beat in steps.split(" ")] == [3 if compound else 4] * beats
        assert any(steps[0] == "o" for steps in pattern.values())


@pytest.mark.parametrize("piece", [REEL, JIG], ids=["reel", "jig"])
def test_labels_follow_from_tempo_metre_and_key(piece):
    request = wish(piece)
    arrangement, start_q = plan_clip(request)
    row = labels(request, arrangement, start_q)
    beats, downbeats = np.array(row["beat"]["beats"]), np.array(row["beat"]["downbeats"])
    assert np.diff(beats) == pytest.approx(60 / 90, abs=2e-4)
    assert np.diff(downbeats) == pytest.approx(piece.beats_per_bar * 60 / 90, abs=3e-4)
    assert 0 <= beats[0] < 60 / 90 and CLIP_S - 60 / 90 <= beats[-1] < CLIP_S
    # A downbeat is where a bar of the looped piece begins.
    bar_q = (start_q + downbeats / 60 * 90 * piece.beat_q) / piece.bar_q
    assert bar_q == pytest.approx(np.round(bar_q), abs=1e-3)
    assert (row["key"], row["tempo"]) == ("E major", 90.0)
    assert (row["chord"][0][0], row["chord"][-1][1]) == (0.0, CLIP_S)
    assert all(a[1] == b[0] for a, b in zip(row["chord"], row["chord"][1:], strict=False))
    assert len(row["instruments"]) >= 2


def test_arrangement_depends_on_the_seed_alone():
    first, second, third = (arrange(REEL, TRAIN, 4, 20, 2, np.random.default_rng(s)) for s in (5, 5, 6))
    assert first == second != third
    low_high = [pitch_range(p.family, p.program) for p in first.parts]
    for part, (low, high) in zip(first.parts, low_high, strict=True):
        assert all(low <= pitch <= high for _, _, pitch, _ in part.notes)


def test_mix_keeps_length_bounds_and_onsets():
    rng = np.random.default_rng(0)
    n, click_s = round(4 * SAMPLE_RATE_HZ), 2.5
    stereo = np.zeros((2, n), dtype=np.float32)
    start = round(click_s * SAMPLE_RATE_HZ)
    stereo[:, start : start + 480] = np.hanning(480)
    for _ in range(10):
        clip = mix.mix(stereo, rng, lead_s=2.0, duration_s=1.5)
        assert len(clip) == round(1.5 * mix.CLIP_RATE_HZ) and np.abs(clip).max() <= 1
        smooth = np.convolve(clip.astype(float) ** 2, np.ones(240), "same")
        assert abs(smooth.argmax() / mix.CLIP_RATE_HZ - 0.505) < 0.04


def test_missing_soundfont_says_how_to_get_it():
    with pytest.raises(MissingSynth, match="apt-get install"):
        find_soundfont("No_Such.sf3")


def test_synth_plays_the_pitch_at_the_time(synth):
    events = [Event(0.5, "on", 0, 69, 100), Event(1.5, "off", 0, 69)]
    audio = synth.render([Voice(0, 0, 73, detune_cents=50.0)], events, 2.0).mean(axis=0)
    assert np.abs(audio[: round(0.499 * SAMPLE_RATE_HZ)]).max() < 1e-4
    tone = audio[round(0.7 * SAMPLE_RATE_HZ) : round(1.4 * SAMPLE_RATE_HZ)]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 2**18))
    hz = spectrum.argmax() * SAMPLE_RATE_HZ / 2**18
    assert 1200 * np.log2(hz / 440) == pytest.approx(50, abs=12)


def test_a_recorded_clip_is_reproducible_and_starts_in_full_sound(synth):
    audio, row = record_clip(wish(), synth)
    again, _ = record_clip(wish(), synth)
    assert np.array_equal(audio, again)
    assert len(audio) == round(CLIP_S * mix.CLIP_RATE_HZ)
    assert np.abs(audio[:2400]).max() > 0.05 * np.abs(audio).max()
    assert LEAD_S > 0 and row["duration_s"] == CLIP_S


def test_render_continues_where_it_stopped(tmp_path, monkeypatch, synth):
    calls = []

    def request(job):
        calls.append(job.id)
        return Request(job.id, job.split, "g", JIG, TRAIN, 120.0, 0, True, (0, job.index))

    monkeypatch.setattr("sordino.render.corpus.request", request)
    monkeypatch.setattr("sordino.render.corpus._synth", lambda soundfont: synth)
    jobs = [Job(f"t-{i}", "train", i, 0, "train", "train") for i in range(2)]
    partial = tmp_path / ".partial"
    partial.mkdir()
    (partial / "t-0.json").write_text('{"id": "t-0", "path": "train/t-0.ogg"}')
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "t-0.ogg").write_bytes(b"done")
    rows = render(jobs, tmp_path, workers=1, show=False)
    assert calls == ["t-1"] and [row["id"] for row in rows] == ["t-0", "t-1"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.jsonl", "train"]
