"""Clips and corpora: labels follow from what is played, splits share nothing, everything comes again."""

import itertools
import json
from dataclasses import replace

import mir_eval
import numpy as np
import pytest

from sordino.render import corpus
from sordino.render.band.style_table import STYLES
from sordino.render.band.styles import draw_style
from sordino.render.charts import CLIP_S, Request, Unsuitable, make_chart
from sordino.render.clips import labels, plan_clip, record_clip
from sordino.render.corpus import Job, check_folder, render, render_corpus, request
from sordino.render.scores.abc_tunes import read_tune
from sordino.render.scores.sources import SHARES
from sordino.render.sound.palettes import FAMILIES, PALETTES
from sordino.render.sound.synth import MissingSynth, Synth, _library, find_soundfont
from sordino.render.sound.waves import RATE_HZ

TUNE = "X:{}\nT:{}\nM:{}\nL:1/8\nK:D\n"
REEL = read_tune(TUNE.format(1, "A Reel", "C|") + "DFAF dAFA|GBdB AFDF|GABG FGAF|EFGE D4|", "oneill")
JIG = read_tune(TUNE.format(2, "A Jig", "6/8") + "DFA dAF|GBd AFD|EFG ABc|dAF D3|", "oneill")
BY_NAME = {style.name: style for style in STYLES}


def wish(style="pop", piece=None, tempo_bpm=100.0, tonic=4, mode="major", keyed=True, seed=(1, 2), palette="train"):
    return Request("c", "train", "g", BY_NAME[style], palette, tempo_bpm, tonic, mode, keyed, seed, piece)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_labels_follow_from_tempo_and_metre(style):
    for seed in range(3):
        made = wish(
            style.name, tempo_bpm=style.tempo_bpm[0], mode="minor" if style.minor > 0.5 else "major", seed=(1, seed)
        )
        performance, begin_s = plan_clip(made)
        row = labels(made, performance, begin_s)
        beats, downbeats = np.array(row["beat"]["beats"]), np.array(row["beat"]["downbeats"])
        steady = 0.0005 if style.time == "machine" else 0.12 if style.time != "rubato" else 0.35
        assert row["tempo"] == pytest.approx(style.tempo_bpm[0], rel=steady)
        assert beats[0] >= 0 and beats[-1] < CLIP_S and (np.diff(beats) > 0.2).all()
        assert set(downbeats) <= set(beats)
        index = np.searchsorted(beats, downbeats)
        assert (np.diff(index) == style.meter[0]).all()
        assert row["beat"]["meter"] == style.meter[0]
        chords = row["chord"]
        assert (chords[0][0], chords[-1][1]) == (0.0, CLIP_S)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(chords))
        for _, _, name in chords:
            mir_eval.chord.validate_chord_label(name)
        assert row["instruments"] and set(row["instruments"]) <= set(FAMILIES)
        mir_eval.key.validate_key(row["key"])


def test_beats_of_the_labels_are_where_the_drums_are():
    """Kicks of a house pattern fall on the labelled beats, whatever swing and window."""
    made = wish("house", tempo_bpm=124.0, mode="minor")
    for seed in range(6):
        performance, begin_s = plan_clip(replace(made, seed=(3, seed)))
        row = labels(made, performance, begin_s)
        kicks_s = performance.clock.seconds([h.onset_q for h in performance.hits if h.drum == 36]) - begin_s - 2.0
        for kick_s in kicks_s[(kicks_s > 0.3) & (kicks_s < 9.7)]:
            on_beat = np.abs(np.array(row["beat"]["beats"]) - kick_s).min() < 1e-3
            assert on_beat or np.abs((kick_s - row["beat"]["beats"][0]) / (60 / 124) % 0.25).min() < 0.25


@pytest.mark.parametrize(("piece", "style"), [(REEL, "reel"), (JIG, "jig")], ids=["reel", "jig"])
def test_tunes_are_played_in_their_felt_metre_and_key(piece, style):
    made = wish(style, piece, tempo_bpm=105.0)
    performance, begin_s = plan_clip(made)
    row = labels(made, performance, begin_s)
    assert (row["key"], row["beat"]["meter"], row["title"]) == ("E major", 2, piece.title)
    assert row["tempo"] == pytest.approx(105, rel=0.1)
    lead = next(part for part in performance.parts if part.role == "lead")
    assert {pitch % 12 for _, _, pitch, _ in lead.notes} <= {(n.pitch + 2) % 12 for n in piece.notes}


def test_a_window_that_is_not_in_its_key_is_refused():
    with pytest.raises(Unsuitable, match="does not sound"):
        make_chart(wish("reel", replace(REEL, tonic=6), tonic=8), np.random.default_rng(0))
    with pytest.raises(Unsuitable, match="does not modulate"):
        make_chart(wish("reel", REEL, keyed=False), np.random.default_rng(0))


def test_without_a_key_the_music_moves_or_is_drums_alone():
    kinds = set()
    for seed in range(12):
        made = wish("pop", keyed=False, seed=(7, seed))
        performance, begin_s = plan_clip(made)
        row = labels(made, performance, begin_s)
        assert row["key"] is None
        kinds.add(row["instruments"] == ["drums"])
    assert kinds == {True, False}


def test_modal_tunes_are_named_by_their_third():
    dorian = read_tune("X:3\nT:x\nM:4/4\nL:1/8\nK:ADor\nA2A2 e4|d2f2 a4|g2B2 d4|A8|", "oneill")
    mixolydian = read_tune("X:4\nT:x\nM:4/4\nL:1/8\nK:DMix\nD2F2 A4|c2E2 G4|A2A2 d4|D8|", "oneill")
    assert (dorian.third, mixolydian.third) == ("minor", "major") and dorian.sure_of_key


@pytest.fixture
def books(monkeypatch):
    """Two tunes in each share, and no songs."""
    pieces = [replace(p, id=f"{p.id}-{i}", title=f"{p.title} {i}") for p in (REEL, JIG) for i in range(40)]
    shares = {name: i for i, name in enumerate(("train", "held a", "held b", "demo test"))}
    monkeypatch.setattr(corpus, "load_pieces", lambda: tuple(pieces))
    monkeypatch.setattr(corpus, "groups_of_pieces", lambda: {p.id: p.id for p in pieces})
    monkeypatch.setattr(corpus, "in_share", lambda group, name: int(group.split("-")[-1]) % 4 == shares[name])
    monkeypatch.setattr(corpus, "song_pool", lambda tunes, free: [])
    corpus.pools.cache_clear()
    yield
    corpus.pools.cache_clear()


def test_splits_share_neither_pieces_nor_sounds(books):
    plan = {"train": ("train", "train"), "validation": ("held a", "train"), "test": ("demo test", "test")}
    groups, sounds = {}, {}
    for split, (tunes, palette) in plan.items():
        made = [request(Job(f"{split}-{i}", split, i, 3, tunes, palette)) for i in range(120)]
        groups[split] = {wish.group for wish in made}
        sounds[split] = {part.sound.name for wish in made[:40] for part in plan_clip(wish)[0].parts}
        assert len({wish.seed for wish in made}) == 120
    assert not groups["train"] & groups["validation"] and not (groups["train"] | groups["validation"]) & groups["test"]
    assert not sounds["train"] & sounds["test"] and len(sounds["test"]) > 10
    assert SHARES["demo test"] == (0.0, 0.25)


def test_keys_go_round_and_styles_follow_their_shares(books):
    made = [request(Job(f"t-{i}", "train", i, 1, "train", "train")) for i in range(480)]
    keyed = [(w.tonic, w.mode) for w in made if w.keyed]
    assert len(keyed) == 456 and all(keyed.count(key) == 19 for key in set(keyed)) and len(set(keyed)) == 24
    assert 0.7 < np.mean([w.style.meter == (4, 1.0) for w in made]) < 0.95
    assert len({w.style.name for w in made}) > 45
    tunes = [w for w in made if w.piece]
    assert tunes and all((w.piece.beats_per_bar, w.piece.beat_q) == w.style.meter for w in tunes)
    again = request(Job("t-7", "train", 7, 1, "train", "train"))
    assert again == made[7] and request(Job("t-7", "train", 7, 2, "train", "train")) != again


def test_styles_are_drawn_reproducibly():
    drawn = [draw_style(np.random.default_rng(5), "major").name for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.fixture(scope="module")
def synth():
    try:
        _library()
        for font in PALETTES["free train"].fonts:
            find_soundfont(font)
    except MissingSynth:
        pytest.skip("FluidSynth or its soundfont is not installed")
    synth = Synth(PALETTES["free train"].fonts)
    yield synth
    synth.close()


@pytest.mark.parametrize("style", ["metal", "house", "chamber", "lo-fi"])
def test_a_recorded_clip_is_reproducible_and_starts_in_full_sound(synth, style):
    made = wish(style, palette="free train", mode="minor")
    audio, row = record_clip(made, synth)
    again, _ = record_clip(made, synth)
    assert np.array_equal(audio, again)
    assert len(audio) == round(CLIP_S * RATE_HZ) and np.isfinite(audio).all()
    assert np.abs(audio[: RATE_HZ // 2]).max() > 0.02 * np.abs(audio).max()
    assert row["duration_s"] == CLIP_S and row["style"] == style


def test_render_continues_where_it_stopped(tmp_path, monkeypatch, synth):
    calls = []

    def make(job):
        calls.append(job.id)
        return replace(wish("pop", palette="free train", seed=(0, job.index)), id=job.id)

    monkeypatch.setattr("sordino.render.corpus.request", make)
    monkeypatch.setattr("sordino.render.corpus._synth", lambda sounds: synth)
    jobs = [Job(f"t-{i}", "train", i, 0, "train", "free train") for i in range(2)]
    partial = tmp_path / ".partial"
    partial.mkdir()
    (partial / "t-0.json").write_text('{"id": "t-0", "path": "train/t-0.flac"}')
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "t-0.flac").write_bytes(b"done")
    rows = render(jobs, tmp_path, workers=1, show=False)
    assert calls == ["t-1"] and [row["id"] for row in rows] == ["t-0", "t-1"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.jsonl", "train"]


def test_labels_of_something_else_are_left_alone(tmp_path):
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"path": "song.wav", "key": "C major"}\n')
    with pytest.raises(FileExistsError, match="of no rendering"):
        render_corpus(tmp_path, 0.01)
    assert labels.read_text().startswith('{"path": "song.wav"') and len(list(tmp_path.iterdir())) == 1
    labels.write_text(json.dumps({"id": "train-000000", "path": "train/train-000000.flac"}) + "\n")
    check_folder(tmp_path)  # its own is gone on with
