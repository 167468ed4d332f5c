"""From tracks to rows: augmented versions, decoding ahead, kept crops, balance."""

import numpy as np
import pytest
import torch

from sordino import audio
from sordino.augment import Augmentation
from sordino.contracts import Backbone, Track
from sordino.segments import Grid
from sordino.tasks import make_task
from sordino.training.crops import Crops, KeptCrops
from sordino.training.data import Examples, check_splits
from sordino.training.sampling import class_balance, order

RATE_HZ = 8_000


class Rates(Backbone):
    """A backbone that only decides rate and frames."""

    name = "rates"
    sample_rate_hz, hop_samples, dim = RATE_HZ, 320, 1

    def n_frames(self, n_samples):
        return -(-n_samples // 320)

    load = tiny = extract = layer_sites = None  # type: ignore[assignment]


@pytest.fixture
def tracks(tmp_path):
    found = []
    for number, key in enumerate(("C major", "C major", "A minor")):
        audio.write(tmp_path / f"{number}.wav", tone(220.0 * (number + 1), 3.0), RATE_HZ)
        labels = {"key": key, "tempo": 100.0, "tags": [key, "x"]}
        found.append(Track(str(number), tmp_path / f"{number}.wav", labels))
    return found


def tone(frequency_hz, seconds):
    return (0.2 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def examples(tracks, tasks=("key",), **options):
    made = [make_task(name) for name in tasks]
    for task in made:
        task.fit([task.parse(track.labels[task.label]) for track in tracks])
    return Examples(tracks, made, Rates(), Grid.of(1.0, RATE_HZ, 320), **options)


def test_every_version_is_a_row_with_its_own_label(tracks):
    rows = examples(tracks, ("key", "tempo"), augmentation=Augmentation(semitones=(-2, 0), rates=(1.0, 2.0)))
    assert len(rows) == 3 * 2 * (3 + 2)  # 3 s, and 1.5 s when played twice as fast
    last = [row for row, segment in enumerate(rows.segments) if segment.track == 2]
    kinds = {(rows.label(row, "key"), rows.label(row, "tempo")) for row in last}
    assert kinds == {("A minor", 100.0), ("A minor", 200.0), ("G minor", 100.0), ("G minor", 200.0)}
    for row, segment in enumerate(rows.segments):
        assert len(rows.waveform(row)) == segment.n_samples
    shifted = next(row for row in range(len(rows)) if rows.label(row, "key") == "G minor")
    power = np.abs(np.fft.rfft(rows.waveform(shifted)[1000:7000]))
    assert power.argmax() * RATE_HZ / 6000 == pytest.approx(660 * 2 ** (-2 / 12), abs=2)


def test_drawn_changes_are_the_same_every_time(tracks):
    first, again = (examples(tracks, augmentation=Augmentation(gain_db=6, noise_snr_db=10, copies=2)) for _ in "ab")
    for row in range(len(first)):
        np.testing.assert_array_equal(first.waveform(row), again.waveform(row))
    assert not np.array_equal(first.waveform(0), first.waveform(3))


def test_a_mixture_has_the_sound_and_the_tags_of_another_row(tracks):
    rows = examples(tracks, ("tagging",), augmentation=Augmentation.named(["mix"]))
    plain = examples(tracks, ("tagging",))
    tags = [rows.label(row, "tagging") for row in range(len(rows))]
    assert all("x" in row for row in tags) and ["A minor", "C major", "x"] in tags
    place = {(segment.track, segment.start_samples): row for row, segment in enumerate(plain.segments)}
    for row, segment in enumerate(rows.segments):
        alone = plain.waveform(place[segment.track, segment.start_samples])
        assert (rows.waveform(row).std() > alone.std() * 1.05) == (segment.version == 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_with_threads_and_from_disk(tracks, tmp_path, monkeypatch, workers):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    expected = examples(tracks).batch([4, 0, 4])
    for _ in range(2):
        rows = examples(tracks, workers=workers, keep=True)
        rows.crops.ahead([0, 1])
        found = rows.batch([4, 0, 4])
        assert torch.equal(found.waveform, expected.waveform) and found.ids == expected.ids == ["1", "0", "1"]
        assert torch.equal(found.targets["key"], expected.targets["key"])
    assert len(list((tmp_path / "cache" / "waveforms").iterdir())) == 1


def test_kept_crops_are_decoded_once(tmp_path):
    calls = []

    def decode(row):
        calls.append(row)
        return np.full(row + 1, row, np.float32)

    for _ in range(2):
        kept = Crops(KeptCrops(decode, {"a": 1}, 4, 4, tmp_path))
        assert [list(wave) for wave in kept([2, 0, 2])] == [[2, 2, 2], [0], [2, 2, 2]]
    assert calls == [2, 0]
    KeptCrops(decode, {"a": 2}, 4, 4, tmp_path)(2)
    assert calls == [2, 0, 2]


def test_balanced_rows_and_tags(tracks):
    assert list(class_balance(examples(tracks))) == pytest.approx([1 / 6] * 6 + [1 / 3] * 3)
    assert list(class_balance(examples(tracks, ("tagging",)))) == pytest.approx([1 / 6] * 6 + [1 / 3] * 3)
    drawn = [row for step in range(300) for row in order(9, 4, step, 0, class_balance(examples(tracks)))]
    assert np.mean([row >= 6 for row in drawn]) == pytest.approx(0.5, abs=0.05)


def test_every_row_comes_once_in_a_pass_whatever_the_batch():
    rows = [row for step in range(5) for row in order(10, 4, step, seed=3)]
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10)) and rows[:10] != rows[10:]
    assert order(10, 4, 2, 3) == order(10, 4, 2, 3) != order(10, 4, 2, 4)


def test_a_file_in_two_splits_is_refused(tracks):
    check_splits(tracks)
    twice = Track("again", tracks[0].path, {}, "test")
    with pytest.raises(ValueError, match=r"stands in the splits train \(0\) and test \(again\)"):
        check_splits([*tracks, twice])
