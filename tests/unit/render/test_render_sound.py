"""Sounds of our own, effects, records, soundfonts: in tune, in time, within bounds, and apart between splits."""

import struct

import numpy as np
import pytest

from sordino.render.band.drums import KICK
from sordino.render.band.figures import read_figure, repeat
from sordino.render.band.grooves import DRUMS, GROOVES, length_beats
from sordino.render.sound import drum_machine, effects, engines, mix, records
from sordino.render.sound.drum_machine import MACHINES
from sordino.render.sound.palettes import FAMILIES, FREE_TRAIN, KINDS, PALETTES, TEST, TRAIN, fold
from sordino.render.sound.patches import PATCHES, SETTINGS
from sordino.render.sound.synth import (
    BUSES,
    SAMPLE_RATE_HZ,
    Event,
    MissingSynth,
    Synth,
    Voice,
    _library,
    find_soundfont,
)
from sordino.render.sound.waves import RATE_HZ, hertz


def fundamental(x, near_hz):
    """The frequency of the strongest partial within a semitone and a half of a frequency."""
    size = 2**18
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), size))
    hz = np.arange(len(spectrum)) * RATE_HZ / size
    inside = np.abs(12 * np.log2(np.maximum(hz, 1) / near_hz)) < 1.5
    return hz[inside][spectrum[inside].argmax()]


@pytest.mark.parametrize("patch", SETTINGS)
def test_patches_are_in_tune_and_begin_when_struck(patch):
    pitch = 45 if "bass" in patch else 57
    notes = [(0.5, 1.2, float(pitch), 100)]
    x = engines.play(patch, notes, 2 * RATE_HZ, np.random.default_rng(0))
    assert np.isfinite(x).all() and np.abs(x[: round(0.49 * RATE_HZ)]).max() < 1e-6
    assert 0.01 < np.abs(x).max() < 4
    hz = fundamental(x[round(0.75 * RATE_HZ) : round(1.6 * RATE_HZ)], hertz(pitch))
    # Voices shake; pulse trains and detuned oscillators are a few cents off.
    assert abs(1200 * np.log2(hz / hertz(pitch))) < 45
    sure = x[round(0.5 * RATE_HZ) : round(0.62 * RATE_HZ)]
    assert np.abs(sure).max() > 0.03 * np.abs(x).max()


def test_strings_and_modulators_are_exactly_in_tune():
    for patch in ("train steel pluck 1", "test electric pluck 1", "train fm bell 1", "train drawbar 1"):
        for pitch in (45.0, 60.3, 71.0):
            x = engines.play(patch, [(0.0, 1.5, pitch, 100)], 2 * RATE_HZ, np.random.default_rng(0))
            octave = 0.5 if "drawbar" in patch else 1.0
            hz = fundamental(x[: round(1.2 * RATE_HZ)], hertz(pitch) * octave)
            assert abs(1200 * np.log2(hz / octave / hertz(pitch))) < 12, (patch, pitch)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("drum", sorted(set(DRUMS.values())))
def test_drums_strike_at_once_and_die_away(machine, drum):
    x = drum_machine.strike(MACHINES[machine], drum, np.random.default_rng(0))
    assert np.isfinite(x).all() and 0.05 < np.abs(x).max() < 5
    assert np.abs(x[: round(0.012 * RATE_HZ)]).max() > 0.15 * np.abs(x).max()
    assert np.abs(x[-100:]).max() < 0.2 * np.abs(x).max()


@pytest.mark.parametrize("name", sorted(GROOVES))
def test_a_rendered_click_of_each_pattern_falls_on_its_beats(name):
    """What the machine plays for a pattern at 100 BPM begins where the pattern is written."""
    beat_s = 0.6
    for pattern in GROOVES[name]:
        n_beats = length_beats(pattern)
        onsets = {round(onset, 6) for line in pattern.values() for _, onset in repeat(line, 1, n_beats)}
        hits = [(0.3 + onset * beat_s, KICK, 100) for onset in onsets]
        x = drum_machine.play("train toy", hits, round((n_beats * beat_s + 1) * RATE_HZ), np.random.default_rng(0))
        level = np.abs(x[: len(x) // 120 * 120]).reshape(-1, 120).max(axis=1)  # every 5 ms
        rise = np.flatnonzero(np.diff(level, prepend=0) > 0.25 * level.max()) * 0.005
        on_beat = {round(s.onset) for line in pattern.values() for s in read_figure(line)[0] if s.onset % 1 == 0}
        for beat in on_beat:
            assert np.abs(rise - (0.3 + beat * beat_s)).min() <= 0.0101


def click(at_s, length_s=2.0):
    x = np.zeros(round(length_s * RATE_HZ))
    start = round(at_s * RATE_HZ)
    x[start : start + 240] = np.hanning(240) * np.sin(np.arange(240) * 0.6)
    return x


def loudest_s(x):
    smooth = np.convolve(np.abs(x), np.ones(120), "same")
    return smooth.argmax() / RATE_HZ


@pytest.mark.parametrize(
    "effect",
    [
        lambda x, rng: effects.amplifier(x, 10.0, rng),
        effects.chorus,
        lambda x, rng: effects.echo(x, 0.3, 0.4, rng),
        lambda x, rng: effects.room(x, rng, 1.2, -6),
        lambda x, rng: effects.equalise(x, rng, 9),
        lambda x, rng: effects.compress(x, -18, 4, 0.005, 0.1),
        lambda x, rng: effects.limit(x, 9),
        lambda x, rng: effects.tremolo(x, rng),
        lambda x, rng: effects.duck(x, [0.2], 0.8, 0.1),
        lambda x, rng: records.code(0.8 * x, rng),
        lambda x, rng: records.produce(x, "modern", rng),
        lambda x, rng: records.wear(x, "modern", rng),
    ],
    ids=[
        "amplifier",
        "chorus",
        "echo",
        "room",
        "equalise",
        "compress",
        "limit",
        "tremolo",
        "duck",
        "code",
        "produce",
        "wear",
    ],
)
def test_effects_keep_length_and_onsets(effect):
    for seed in range(6):
        x = click(0.9)
        y = np.asarray(effect(x.copy(), np.random.default_rng(seed)))
        assert y.shape == x.shape and np.isfinite(y).all()
        assert abs(loudest_s(y) - loudest_s(x)) < 0.025


def test_compression_limits_and_ducking_do_what_they_say():
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    loud = np.sin(2 * np.pi * 220 * t) * np.where(t < 1, 0.1, 1.0)
    even = effects.compress(loud, -20, 4, 0.005, 0.1)
    ratio = np.abs(even[-RATE_HZ // 2 :]).max() / np.abs(even[RATE_HZ // 4 : RATE_HZ // 2]).max()
    assert ratio == pytest.approx(10 ** (5 / 20), rel=0.05)  # 20 dB over the threshold become 5
    assert np.abs(effects.limit(loud, 12)).max() <= 1.0
    pumped = effects.duck(np.ones(RATE_HZ), [0.5], 0.7, 0.1)
    assert pumped[0] == 1 and pumped[RATE_HZ // 2] == pytest.approx(0.3) and pumped[-1] > 0.95


@pytest.mark.parametrize("kind", records.RECORDS)
def test_every_kind_of_record_is_within_bounds(kind):
    rng = np.random.default_rng(1)
    x = np.sin(np.arange(2 * RATE_HZ) * 0.05) * 0.3
    for _ in range(4):
        y = records.wear(records.produce(x, kind, rng), kind, rng)
        assert y.dtype == np.float32 and len(y) == len(x) and 0.01 < np.abs(y).max() <= 1


def test_mixing_balances_what_is_played():
    rng = np.random.default_rng(0)
    n = 3 * RATE_HZ
    buses = {name: np.zeros(n) for name in BUSES}
    buses["keys"] = np.sin(np.arange(n) * 0.06) * 0.001
    buses["drums"] = click(1.0, 3.0) * 5
    x = mix.finish(mix.mix(buses, [], 0.0, 0.5, "hall", rng), 0.5, 2.0, "hall", rng)
    assert len(x) == 2 * RATE_HZ and np.abs(x).max() <= 1
    assert np.sqrt(np.mean(x**2)) > 0.02 * np.abs(x).max()  # the quiet one is heard


def test_palettes_share_no_sound():
    def names(palette):
        sounds = {sound.name for kind in KINDS for sound in palette.sounds(kind)}
        return sounds | {kit.name for kits in palette.kits.values() for kit in kits}

    assert not names(TRAIN) & names(TEST) and names(FREE_TRAIN) < names(TRAIN)
    assert not PATCHES["train"].items() & PATCHES["test"].items()
    settings = {name: {k: str(v) for k, v in setting.items()} for name, setting in SETTINGS.items()}
    train, test = ([s for name, s in settings.items() if name.startswith(side)] for side in ("train", "test"))
    assert not any(setting in train for setting in test)
    assert all(font.endswith((".sf3", ".sf2")) for palette in PALETTES.values() for font in palette.fonts)
    assert TEST.free and FREE_TRAIN.free and not TRAIN.free
    assert {kind.family for kind in KINDS.values()} | {"drums"} == set(FAMILIES)


def samples_of_programs(font):
    """(bank, program) to the names of its samples, from the tables of a SoundFont file."""
    data = find_soundfont(font).read_bytes()
    at, table = data.index(b"pdta") + 4, {}
    while at < len(data) - 8 and data[at : at + 4].isalpha():
        (size,) = struct.unpack_from("<I", data, at + 4)
        table[data[at : at + 4].decode()] = data[at + 8 : at + 8 + size]
        at += 8 + size
    rows = {name: list(struct.iter_unpack(form, table[name])) for name, form in
            {"phdr": "<20sHHHIII", "pbag": "<HH", "pgen": "<HH", "inst": "<20sH", "ibag": "<HH", "igen": "<HH",
             "shdr": "<20s26x"}.items()}  # fmt: skip

    def inside(heads, bags, gens, index, first, what):
        bounds = rows[heads][index][first], rows[heads][index + 1][first]
        pairs = (rows[gens][g] for b in range(*bounds) for g in range(rows[bags][b][0], rows[bags][b + 1][0]))
        return [value for kind, value in pairs if kind == what]

    def sample(number):
        return rows["shdr"][number][0].split(b"\0")[0].decode("latin-1").strip().lower().replace(" ", "").rstrip("lr")

    found = {}
    for index, (_, program, bank, *_) in enumerate(rows["phdr"][:-1]):
        instruments = inside("phdr", "pbag", "pgen", index, 3, 41)
        found[bank, program] = {sample(s) for i in instruments for s in inside("inst", "ibag", "igen", i, 1, 53)}
    return found


def test_no_sample_of_a_test_program_is_in_a_training_program():
    try:
        tables = {font: samples_of_programs(font) for palette in (TRAIN, TEST) for font in palette.fonts}
    except MissingSynth:
        pytest.skip("soundfonts are not installed")

    def samples(palette):
        return {
            sample
            for kind in KINDS
            for sound in palette.sounds(kind)
            if sound.font
            for sample in tables[sound.font].get((0, sound.program), ())
        }

    shared = samples(TRAIN) & samples(TEST)
    assert len(samples(TEST)) > 200 and not shared


def test_folding_stays_in_range():
    for kind in KINDS.values():
        low, high = kind.range
        assert high - low >= 11
        assert low <= fold(3, low, high) <= high


def test_missing_soundfont_says_how_to_get_it():
    with pytest.raises(MissingSynth, match="apt-get install"):
        find_soundfont("No_Such.sf3")


@pytest.fixture(scope="module")
def synth():
    try:
        _library()
        find_soundfont("FluidR3Mono_GM.sf3")
    except MissingSynth:
        pytest.skip("FluidSynth or its soundfont is not installed")
    synth = Synth(["FluidR3Mono_GM.sf3"])
    yield synth
    synth.close()


def test_synth_plays_the_pitch_at_the_time_on_its_bus(synth):
    channel = 4 + BUSES.index("lead")
    events = [Event(0.5, "on", channel, 69, 100), Event(1.5, "off", channel, 69)]
    buses = synth.render([Voice(channel, "FluidR3Mono_GM.sf3", 0, 73, detune_cents=50.0)], events, 2.0)
    assert buses.shape == (4, 2, 2 * SAMPLE_RATE_HZ) and not buses[:3].any()
    audio = buses[3].mean(axis=0)
    assert np.abs(audio[: round(0.498 * SAMPLE_RATE_HZ)]).max() < 1e-4
    tone = audio[round(0.7 * SAMPLE_RATE_HZ) : round(1.4 * SAMPLE_RATE_HZ)]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 2**18))
    hz = spectrum.argmax() * SAMPLE_RATE_HZ / 2**18
    assert 1200 * np.log2(hz / 440) == pytest.approx(50, abs=12)


def test_buses_are_at_the_rate_of_clips():
    rendered = np.zeros((4, 2, SAMPLE_RATE_HZ), dtype=np.float32)
    rendered[0, :, 18_000:] = np.sin(np.arange(18_000) * 2 * np.pi * 440 / SAMPLE_RATE_HZ)
    buses = mix.to_buses(rendered, np.random.default_rng(0))
    assert set(buses) == set(BUSES) and len(buses["keys"]) == RATE_HZ
    assert fundamental(buses["keys"][13_000:23_000], 440) == pytest.approx(440, abs=1)
    assert set(PALETTES) == {"train", "free train", "test"}
