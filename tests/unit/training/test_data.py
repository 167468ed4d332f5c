"""From tracks to rows: augmented versions, decoding ahead, kept waveforms, random crops, balance."""

import os
from functools import lru_cache

import numpy as np
import pytest

from sordino import audio
from sordino.augment import Augmentation
from sordino.contracts import Backbone, Track
from sordino.known_files import look
from sordino.segments import Grid
from sordino.tasks import make_task
from sordino.training.examples import VERSIONS, Examples
from sordino.training.recordings import Recordings, check_splits
from sordino.training.sampling import Order, class_balance
from sordino.training.waves import Waves

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


def examples(tracks, tasks=("key",), n_seconds=1.0, **options):
    made = [make_task(name) for name in tasks]
    for task in made:
        task.fit([task.parse(track.labels[task.label]) for track in tracks])
    known = look(track.path for track in tracks)
    return Examples(Recordings(tracks, made, known, RATE_HZ), Rates(), Grid.of(n_seconds, RATE_HZ, 320), **options)


def labels(rows, name):
    return [rows.label(rows.rows.whole(row), name) for row in range(len(rows))]


def test_every_version_is_a_row_with_its_own_label(tracks):
    rows = examples(tracks, ("key", "tempo"), versions=Augmentation(semitones=(-2, 0), rates=(1.0, 2.0)).versions())
    assert len(rows) == 3 * 2 * (3 + 2)  # 3 s, and 1.5 s when played twice as fast
    segments = [rows.rows.whole(row) for row in range(len(rows))]
    kinds = {(rows.label(s, "key"), rows.label(s, "tempo")) for s in segments if s.track == 2}
    assert kinds == {("A minor", 100.0), ("A minor", 200.0), ("G minor", 100.0), ("G minor", 200.0)}
    for segment in segments:
        assert len(rows.waveform(segment)) == segment.n_samples
    shifted = next(segment for segment in segments if rows.label(segment, "key") == "G minor")
    power = np.abs(np.fft.rfft(rows.waveform(shifted)[1000:7000]))
    assert power.argmax() * RATE_HZ / 6000 == pytest.approx(660 * 2 ** (-2 / 12), abs=2)


def test_a_stretch_that_begins_between_samples_is_as_long_as_its_row(tmp_path):
    """Its length is rounded from its end, its beginning by itself: the file may end a sample earlier."""
    path, n_at_44_kHz = tmp_path / "a.wav", 88_201
    audio.write(path, tone(220.0, n_at_44_kHz / RATE_HZ), 44_100)
    task, known = make_task("key"), look([path])
    starts = [0.25 + number / 81_000 for number in range(60)]
    tracks = [Track(f"{start_s}", path, {"key": "C major"}, start_s=start_s) for start_s in starts]
    rows = Examples(Recordings(tracks, [task], known, RATE_HZ), Rates(), Grid.of(2.0, RATE_HZ, 320))
    segments = [rows.rows.whole(row) for row in range(len(rows))]
    assert [len(rows.waveform(segment)) for segment in segments] == [segment.n_samples for segment in segments]


def test_drawn_changes_are_the_same_every_time(tracks):
    first, again = (
        examples(tracks, versions=Augmentation(gain_db=6, noise_snr_db=10, copies=2).versions()) for _ in "ab"
    )
    for row in range(len(first)):
        segment = first.rows.whole(row)
        np.testing.assert_array_equal(first.waveform(segment), again.waveform(segment))
    assert not np.array_equal(first.waveform(first.rows.whole(0)), first.waveform(first.rows.whole(3)))


def test_a_mixture_has_the_sound_and_all_labels_of_one_other_track(tracks):
    """The partner is drawn once: its sound and its label for every task, never the track itself."""
    named = [{"name": "tagging"}, {"name": "tagging", "label": "instruments"}]
    tasks = [make_task(**spec) for spec in named]
    tasks[1].name = "instruments"  # a second tagging task in one model
    for number, track in enumerate(tracks):
        track.labels.update(tags=[f"t{number}"], instruments=[f"i{number}"])
    for task in tasks:
        task.fit([task.parse(track.labels[task.label]) for track in tracks])
    known = look(track.path for track in tracks)
    grid, versions = Grid.of(1.0, RATE_HZ, 320), Augmentation.named(["mix"]).versions()
    rows = Examples(Recordings(tracks, tasks, known, RATE_HZ), Rates(), grid, versions)
    mixed = [rows.rows.whole(row) for row in range(len(rows)) if rows.rows.versions[row] == 1]
    assert len(mixed) == 9
    for segment in mixed:
        other = rows.partner(segment).track
        assert other != segment.track
        assert rows.label(segment, "tagging") == sorted([f"t{segment.track}", f"t{other}"])
        assert rows.label(segment, "instruments") == sorted([f"i{segment.track}", f"i{other}"])
        frequencies = np.abs(np.fft.rfft(rows.waveform(segment), RATE_HZ))
        loud = {number for number in range(3) if frequencies[220 * (number + 1)] > 100}
        assert loud == {segment.track, other}


def test_a_mixture_wants_two_recordings(tracks):
    with pytest.raises(ValueError, match="wants two"):
        examples(tracks[:1], ("tagging",), versions=Augmentation.named(["mix"]).versions())


@pytest.mark.parametrize("random", [False, True])
def test_targets_are_encoded_once_where_rows_come_again_and_there_is_room(random, tracks, monkeypatch):
    for track in tracks:
        track.labels["beat"] = {"beats": [0.5, 1.0, 1.5, 2.0], "downbeats": None}
    rows, calls = examples(tracks, ("beat",), random=random), []
    task = rows.tasks["beat"]
    encode = type(task).encode
    monkeypatch.setattr(task, "encode", lambda *args: calls.append(args) or encode(task, *args))
    n_bytes = 25 * 2 * 4  # a second of two activations
    rows._room_bytes = min(rows._room_bytes, 5 * n_bytes)
    seen = [rows.rows.whole(row)._replace(n_samples=RATE_HZ) for row in range(3)]
    seen += [segment._replace(start_samples=segment.start_samples + RATE_HZ // 2) for segment in seen]
    first, again = (rows.targets(seen, n_frames)[0]["beat"] for n_frames in (25, 30))
    np.testing.assert_array_equal(first, again[:, :25])
    np.testing.assert_array_equal(first[0], encode(task, rows.label(seen[0], "beat"), 25, 25.0, 0.0))
    assert not again[:, 25:].any()
    assert len(calls) == (12 if random else 7)  # six of them, and the one that had no room


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("random", [False, True])
def test_waveforms_are_the_same_with_threads_and_from_disk(tracks, tmp_path, monkeypatch, workers, random):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    expected = Waves(examples(tracks, random=random))([(1, 5), (0, 0), (1, 5)])
    for _ in range(2):
        waves = Waves(examples(tracks, random=random), workers, keep=True)
        waves.ahead([(0, 0), (1, 0)])
        found = waves([(1, 5), (0, 0), (1, 5)])
        assert all(np.array_equal(one, two) for one, two in zip(found, expected, strict=True))


def test_kept_waveforms_are_decoded_once_and_anew_when_the_file_changes(tracks, tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    calls = []
    decode = Examples.waveform
    monkeypatch.setattr(Examples, "waveform", lambda self, segment: calls.append(segment) or decode(self, segment))
    for _ in range(2):
        Waves(examples(tracks), keep=True)
    assert len(calls) == 9
    replaced = tracks[1].path
    status = replaced.stat()
    audio.write(replaced, tone(555.0, 3.0), RATE_HZ)
    os.utime(replaced, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same time
    assert replaced.stat().st_size == status.st_size
    waves = Waves(examples(tracks), keep=True)
    assert len(calls) == 9 + 3
    assert np.abs(np.fft.rfft(waves([(3, 0)])[0])).argmax() == pytest.approx(555, abs=2)


def test_the_store_tells_rows_apart_by_all_that_decides_them(tracks, monkeypatch):
    def keys(*args, **options):
        rows = examples(*args, **options)
        return {rows.key(rows.rows.whole(row)) for row in range(len(rows))}

    plain = keys(tracks)
    assert keys(tracks, ("key", "tempo")) == plain == keys(tracks[::-1])  # tasks and order of tracks decide nothing
    assert keys(tracks[:2]) < plain
    assert not keys(tracks, n_seconds=0.5) & plain
    assert len(keys(tracks, versions=Augmentation(semitones=(0, 1)).versions()) & plain) == len(plain)
    monkeypatch.setitem(VERSIONS, "vocoder", 99)
    assert not keys(tracks) & plain


def test_random_crops_cover_a_track_and_differ_from_pass_to_pass(tracks):
    rows = examples(tracks, random=True, seed=4)
    assert len(rows) == 3
    starts = [rows.rows.segment(0, visit).start_samples for visit in range(200)]
    assert min(starts) < 0.1 * RATE_HZ and max(starts) > 1.9 * RATE_HZ and len(set(starts)) > 150
    assert all(rows.rows.segment(0, visit).n_samples == RATE_HZ for visit in range(5))
    assert starts == [
        examples(tracks, random=True, seed=4).rows.segment(0, visit).start_samples for visit in range(200)
    ]


def test_balanced_rows_and_tags(tracks):
    assert list(class_balance(examples(tracks))) == pytest.approx([1 / 6] * 6 + [1 / 3] * 3)
    assert list(class_balance(examples(tracks, ("tagging",)))) == pytest.approx([1 / 6] * 6 + [1 / 3] * 3)
    order = Order(9, 4, 0, class_balance(examples(tracks)))
    drawn = [row for step in range(300) for row, _ in order.step(step)]
    assert np.mean([row >= 6 for row in drawn]) == pytest.approx(0.5, abs=0.05)


def test_every_row_comes_once_in_a_pass_whatever_the_batch():
    order = Order(10, 4, seed=3)
    visits = [visit for step in range(5) for visit in order.step(step)]
    assert sorted(visits) == sorted((row, number) for row in range(10) for number in range(2))
    rows = [row for row, _ in visits]
    assert rows[:10] != rows[10:]
    assert Order(10, 4, 3).step(2) == order.step(2) != Order(10, 4, 4).step(2)


def test_a_pass_is_shuffled_once(monkeypatch):
    order, shuffles = Order(1000, 4, seed=0), []
    original = Order._shuffle
    order._shuffled = lru_cache(maxsize=2)(lambda visit: shuffles.append(visit) or original(order, visit))
    for step in range(500):
        order.step(step)
    assert shuffles == [0, 1]


def test_a_file_in_two_splits_is_refused(tracks):
    check_splits(tracks)
    twice = Track("again", tracks[0].path, {}, "test")
    with pytest.raises(ValueError, match=r"stands in the splits train \(0\) and test \(again\)"):
        check_splits([*tracks, twice])
