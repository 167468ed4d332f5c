"""Styles, figures, progressions, melodies and players: what is written is what is played."""

import collections

import numpy as np
import pytest

from sordino.render.band import drums, players
from sordino.render.band.arrange import GUESTS, arrange
from sordino.render.band.chart import Chart
from sordino.render.band.figures import read_figure, repeat
from sordino.render.band.grooves import DRUMS, GROOVES, length_beats
from sordino.render.band.lines import BASS, CHORDS
from sordino.render.band.melody import make_melody, make_riff
from sordino.render.band.progressions import INTERVALS, PROGRESSIONS, colour, read_numeral, realise
from sordino.render.band.sections import Section, draw_sections, sounding
from sordino.render.band.style_table import STYLES
from sordino.render.band.styles import draw_style, shares
from sordino.render.band.timing import STEADINESS
from sordino.render.scores.pieces import SCALES
from sordino.render.sound.palettes import KINDS, PALETTES, TRAIN
from sordino.render.sound.records import RECORDS

BY_NAME = {style.name: style for style in STYLES}


def chart_of(name, tonic=0, mode="minor", progression="i | bVI | bIII | bVII", n_bars=8, bpm=120):
    style = BY_NAME[name]
    bar_q = style.meter[0] * style.meter[1]
    turn = realise(progression, tonic, bar_q, 1)
    laps = -(-n_bars // round(turn[-1].end_q / bar_q))
    chords = [
        type(c)(
            c.start_q + lap * turn[-1].end_q, c.end_q + lap * turn[-1].end_q, c.root, c.quality, c.intervals, c.bass
        )
        for lap in range(laps)
        for c in turn
    ]
    return Chart(style, 60 / bpm, n_bars, tuple(chords), tonic, mode)


def test_figures_say_when_and_how_long():
    strokes, n_beats = read_figure("o.x- --xx xxx")
    assert n_beats == 3
    assert [(s.onset, s.symbol) for s in strokes[:2]] == [(0, "o"), (0.5, "x")]
    assert [s.duration for s in strokes[:4]] == [0.25, 1.0, 0.25, 0.25]
    assert [s.onset for s in strokes[4:]] == pytest.approx([2, 2 + 1 / 3, 2 + 2 / 3])


def test_figures_are_repeated_from_the_bar_line():
    assert [onset for _, onset in repeat("x... .... x...", 2, 4)] == [0, 2, 3, 4, 6, 7]
    assert [onset for _, onset in repeat("x x", 2, 4)] == list(range(8))
    assert [onset for _, onset in repeat(" ".join("x......." for _ in range(8)), 3, 4)] == list(range(12))


def test_every_name_in_a_style_exists():
    palettes = PALETTES.values()
    assert set(GUESTS) <= KINDS.keys()
    for style in STYLES:
        assert style.time in STEADINESS and style.record in RECORDS and set(style.grooves) <= GROOVES.keys()
        kinds = {*style.bass[1], *style.leads, *style.pads, *(kind for _, options in style.chords for kind in options)}
        assert kinds <= KINDS.keys()
        assert set(style.bass[0]) <= BASS.keys() and {name for name, _ in style.chords} <= CHORDS.keys()
        for mode in (["minor"] if style.minor > 0 else []) + (["major"] if style.minor < 1 else []):
            assert (style.harmony, mode) in PROGRESSIONS
        for palette in palettes:
            assert set(style.kits) <= palette.kits.keys() and all(palette.sounds(kind) for kind in kinds)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_what_a_style_plays_fits_its_bar(style):
    beats = style.meter[0]
    figures = [figure for name in style.bass[0] for figure in BASS[name]]
    figures += [figure for name, _ in style.chords for figure in CHORDS[name]]
    for figure in figures:
        length = read_figure(figure)[1]
        assert beats % length == 0 or length % beats == 0, figure
    for groove in style.grooves:
        patterns = [p for p in GROOVES[groove] if beats % length_beats(p) == 0 or length_beats(p) % beats == 0]
        assert patterns == list(GROOVES[groove])
        for pattern in patterns:
            assert set(pattern) <= DRUMS.keys()
            assert all(
                symbol in "xog" for line in pattern.values() for s in read_figure(line)[0] for symbol in s.symbol
            )


def test_metres_and_tempi_are_in_the_proportions_of_music():
    styles, weights = shares()
    metre = collections.Counter()
    for style, weight in zip(styles, weights, strict=True):
        swung = style.swing is not None and style.swing[0] == "8"
        metre[style.meter, swung] += weight
    four = metre[(4, 1.0), False]
    assert 0.72 < four < 0.82 and 0.09 < sum(w for (_, swung), w in metre.items() if swung) < 0.14
    assert 0.03 < metre[(3, 1.0), False] < 0.06
    assert 0.04 < sum(w for ((_, beat_q), _), w in metre.items() if beat_q == 1.5) < 0.07
    assert 0.004 < sum(w for ((beats, _), _), w in metre.items() if beats in (5, 7)) < 0.02
    rng = np.random.default_rng(0)
    tempi = np.array([draw_style(rng).draw_tempo(rng) for _ in range(4000)])
    assert 108 < np.median(tempi) < 122
    assert np.mean(tempi < 60) < 0.03 and np.mean(tempi > 190) < 0.015
    assert 0.2 < np.std(np.log(tempi)) < 0.35


def test_modes_get_the_styles_that_are_played_in_them():
    assert BY_NAME["extreme metal"].minor == 1.0
    _, major = shares("major")
    assert major[[s.name for s in STYLES].index("extreme metal")] == 0
    rng = np.random.default_rng(0)
    assert all(draw_style(rng, "minor").minor > 0 for _ in range(200))


def test_numerals():
    assert read_numeral("I") == (0, "maj", 0) and read_numeral("vi") == (9, "min", 0)
    assert read_numeral("bVII7") == (10, "7", 0) and read_numeral("ii7") == (2, "min7", 0)
    assert read_numeral("V/3") == (7, "maj", 4) and read_numeral("iihdim7") == (2, "hdim7", 0)
    for wrong in ("VIII", "H", "Vsus9", "bb"):
        with pytest.raises(ValueError, match="chord"):
            read_numeral(wrong)
    for options in PROGRESSIONS.values():
        for _, progression in options:
            assert realise(progression, 0, 4.0, 1)


def test_progressions_become_chords():
    chords = realise("I | V/3 vi | IVmaj7", 2, 4.0, 1)
    assert [c.label() for c in chords] == ["D:maj", "A:maj/3", "B:min", "G:maj7"]
    assert [(c.start_q, c.end_q) for c in chords] == [(0, 4), (4, 6), (6, 8), (8, 12)]
    assert chords[1].label(1) == "Bb:maj/3"
    assert realise("i | iv", 0, 3.0, 2)[1].start_q == 6


def test_colour_keeps_roots_and_thirds():
    chords = realise("I | V | vi | IV", 0, 4.0, 1)
    coloured = colour(chords, 1.0, np.random.default_rng(0))
    assert [c.root for c in coloured] == [c.root for c in chords] and coloured != chords
    for before, after in zip(chords, coloured, strict=True):
        assert after.intervals == INTERVALS[after.quality]
        assert after.quality.startswith("min") == before.quality.startswith("min")
    assert colour(chords, 0.0, np.random.default_rng(0)) == chords


@pytest.mark.parametrize("kind", ["piano", "nylon", "clean", "strings", "harp", "poly"])
@pytest.mark.parametrize("name", ["quarters", "strum", "arpeggio", "pushed", "oom-pah", "whole"])
def test_chords_sound_the_labelled_pitch_classes(name, kind):
    chart = chart_of("pop", 3, "major", "I | vi7 | IVmaj7 | V7")
    low, high = KINDS[kind].range
    for figure in CHORDS[name]:
        heard = collections.defaultdict(set)
        for onset_q, _, pitch, velocity in players.chord_part(chart, figure, kind, np.random.default_rng(0)):
            assert low <= pitch <= high + 24 and 0 < velocity < 128
            heard[chart.chord_at(onset_q + 0.02)[0]].add(pitch % 12)
        for chord, pitches in heard.items():
            tones = {(chord.root + i) % 12 for i in chord.intervals}
            assert pitches <= tones
            assert len(pitches) >= (1 if name == "oom-pah" else 2)


def test_held_chords_and_power_chords():
    chart = chart_of("metal", 4)
    for onset_q, duration_q, pitch, _ in players.held_chords(chart, "strings", np.random.default_rng(0)):
        chord, _ = chart.chord_at(onset_q)
        assert (pitch - chord.root) % 12 in chord.intervals and onset_q + duration_q <= chord.end_q
    power = players.chord_part(chart, "c-c- c-c- c-c- c-c-", "distortion", np.random.default_rng(0))
    assert {(pitch - chart.chord_at(onset_q)[0].root) % 12 for onset_q, _, pitch, _ in power} == {0, 7}


def test_basses_play_roots_fifths_and_lead_into_the_next_chord():
    chart = chart_of("pop", 0, "major", "I | IV | V/3 | I")
    rng = np.random.default_rng(0)
    roots = players.bass_line(chart, "R--- ---- ---- ----", "fingered bass", rng)
    assert [pitch % 12 for _, _, pitch, _ in roots[:4]] == [0, 5, 11, 0]  # the third is in the bass
    assert [round(onset_q) for onset_q, _, _, _ in roots[:4]] == [0, 4, 8, 12]
    line = players.bass_line(chart, "R- 5- 8- a-", "fingered bass", rng)
    assert [pitch % 12 for _, _, pitch, _ in line[:3]] == [0, 7, 0]
    assert (line[3][2] - 5) % 12 in (1, 2, 10, 11)
    assert all(28 <= pitch <= 55 for _, _, pitch, _ in line)


def test_melodies_stand_on_chord_tones_where_it_counts():
    chart = chart_of("pop", 7, "major", "I | V | vi | IV")
    for seed in range(8):
        melody = make_melody(chart, 60, 80, np.random.default_rng(seed))
        assert all(60 <= n.pitch <= 80 and 0 <= n.onset_q < chart.end_q for n in melody)
        on_beats = [n for n in melody if n.onset_q % 1 == 0]
        assert all((n.pitch - chart.chord_at(n.onset_q)[0].root) % 12 in (0, 3, 4, 7) for n in on_beats)
        assert all((n.pitch - 7) % 12 in SCALES["major"] for n in melody)


def test_riffs_return():
    chart = chart_of("metal", 4, "minor", "i | i | i | i")
    riff = make_riff(chart, 40, 60, np.random.default_rng(3))
    first = [(n.onset_q, n.pitch) for n in riff if n.onset_q < 8]
    assert first == [(n.onset_q - 8, n.pitch) for n in riff if 8 <= n.onset_q < 16]


@pytest.mark.parametrize("style", [s for s in STYLES if s.grooves], ids=lambda style: style.name)
def test_strokes_of_drums_are_where_the_pattern_says(style):
    chart = chart_of(style.name)
    one = (Section(0, chart.n_bars, ()),)
    hits = drums.play(chart, one, True, np.random.default_rng(1))
    steps = {4, 3, 6, 2, 1, 8, 12}
    for hit in hits:
        assert 0 <= hit.onset_q < chart.end_q and 0 < hit.velocity < 128
        assert any(
            abs(hit.onset_q / style.meter[1] * s - round(hit.onset_q / style.meter[1] * s)) < 1e-6 for s in steps
        )
    assert len(hits) > chart.n_bars


def test_sections_silence_roles_and_never_everything():
    for seed in range(300):
        sections = draw_sections(9, (4.0, 10.0), 2.0, np.random.default_rng(seed))
        assert sections[0].first == 0 and sections[-1].last == 9
        if len(sections) == 2:
            assert sections[0].last == sections[1].first and 4.0 - 1 <= 2.0 * sections[0].last <= 10.0 + 1
        quiet = [section for section in sections if "drums" in section.silent or len(section.silent) > 3]
        assert len(quiet) < 2 or sum("drums" in section.silent for section in sections) == 1
        assert len(sections) == 2 or not quiet
    halves = (Section(0, 2, ("lead",)), Section(2, 4, ()))
    assert sounding([(0.0,), (7.9,), (8.0,)], "lead", halves, 4.0) == [(8.0,)]
    assert len(sounding([(0.0,), (8.0,)], "bass", halves, 4.0)) == 2


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_an_arrangement_is_heard_all_through_and_depends_on_the_seed_alone(style):
    minor = style.minor > 0
    chart = chart_of(
        style.name, 0, "minor" if minor else "major", "i | iv | V7 | i" if minor else "I | IV | V7 | I", 10
    )
    for seed in range(4):
        first, again = (arrange(chart, TRAIN, np.random.default_rng(seed)) for _ in range(2))
        assert (first.parts, first.hits, first.clock) == (again.parts, again.hits, again.clock)
        onsets_q = [note[0] for part in first.parts for note in part.notes] + [hit.onset_q for hit in first.hits]
        assert np.diff(np.sort([0.0, *onsets_q, chart.end_q])).max() <= 4 * chart.bar_q
    assert (
        arrange(chart, TRAIN, np.random.default_rng(0)).parts != arrange(chart, TRAIN, np.random.default_rng(1)).parts
    )
