"""The shipped demo set is what it says it is."""

import collections
import json

import mir_eval
import numpy as np
import pytest
import soundfile

from sordino.datasets.demo import Demo
from sordino.datasets.rendered import Rendered
from sordino.render.sound.palettes import FAMILIES


@pytest.fixture(scope="module")
def tracks():
    return Demo().tracks()


def test_sizes_splits_and_groups(tracks):
    assert collections.Counter(t.split for t in tracks) == {"train": 303, "validation": 101, "test": 151}
    assert len({t.id for t in tracks}) == len(tracks) == Demo.size[0]
    groups = collections.defaultdict(set)
    for track in tracks:
        groups[track.group].add(track.split)
    assert all(len(splits) == 1 for splits in groups.values())
    total_bytes = sum(p.stat().st_size for p in Demo.default_root().rglob("*") if p.is_file())
    assert total_bytes < 25e6


@pytest.mark.parametrize(("split", "per_key"), [("train", 12), ("validation", 4), ("test", 6)])
def test_keys_are_balanced_and_readable(tracks, split, per_key):
    keys = collections.Counter(t.labels.get("key") for t in tracks if t.split == split)
    n_open = keys.pop(None)
    assert len(keys) == 24 and set(keys.values()) == {per_key} and n_open > 0
    for key in keys:
        mir_eval.key.validate_key(key)


def test_labels_are_consistent(tracks):
    for track in tracks:
        labels = track.labels
        beats, downbeats = np.array(labels["beat"]["beats"]), labels["beat"]["downbeats"]
        between = np.diff(beats) * labels["tempo"] / 60  # players drift, a few pause
        assert np.median(between) == pytest.approx(1, abs=0.002) and between.min() > 0.7 and between.max() < 3.5
        assert np.quantile(between, 0.9) < 1.4
        assert beats[0] >= 0 and beats[-1] < 10 and set(downbeats) <= set(beats)
        assert 49 < labels["tempo"] < 211
        assert labels["instruments"] and set(labels["instruments"]) <= set(FAMILIES)
        if "chord" in labels:
            starts, ends, names = zip(*labels["chord"], strict=True)
            assert starts[0] == 0 and ends[-1] == 10 and starts[1:] == ends[:-1]
            for name in names:
                mir_eval.chord.validate_chord_label(name)
        assert {"source", "title", "licence"} <= track.info.keys()


def test_audio_is_24_khz_mono_of_10_s(tracks):
    for track in tracks[::40]:
        audio, rate_hz = soundfile.read(track.path)
        assert (rate_hz, audio.shape) == (24_000, (240_000,))
        assert np.abs(audio).max() > 0.01


def test_excerpt_has_its_tempo():
    track = Demo.excerpt()
    audio, rate_hz = soundfile.read(track.path)
    assert len(audio) / rate_hz == track.duration_s == 20
    assert track.labels["tempo"] == 95.0
    # Energy rises at the beats more than halfway between them.
    beats = np.array(track.labels["beat"]["beats"])
    level = np.abs(audio[: len(audio) // 240 * 240]).reshape(-1, 240).mean(axis=1)
    rise = np.maximum(np.diff(level, prepend=level[0]), 0)
    near = [rise[max(0, round(t * 100) - 3) : round(t * 100) + 4].sum() for t in beats]
    between = [rise[round(t * 100) + 13 : round(t * 100) + 20].sum() for t in beats]
    assert np.mean(near) > 1.5 * np.mean(between)


def test_rendered_reads_what_was_written_and_says_how_when_nothing_was(tmp_path):
    with pytest.raises(FileNotFoundError, match="sordino render"):
        Rendered(tmp_path).tracks()
    row = json.loads((Demo.default_root() / "labels.jsonl").read_text().splitlines()[0])
    (tmp_path / "labels.jsonl").write_text(json.dumps(row) + "\n")
    (track,) = Rendered(tmp_path).tracks()
    assert (track.id, track.labels["tempo"]) == (row["id"], row["tempo"])
    assert Rendered(tmp_path).available()
