"""The same recording under two names is found without comparing each with each, and nothing else is."""

import itertools

import numpy as np
import pytest

from sordino.datasets import _alike, _scan
from sordino.datasets._alike import compared, near_pairs, sampled
from sordino.datasets._scan import Scan, same_recordings

MOST, N_BITS = 251, 1008


def codes_with_pairs(seed, n_codes=1_500, n_pairs=300, share_of_ones=0.5):
    """Random codes, some of them others with about as many bits flipped as are allowed."""
    rng = np.random.default_rng(seed)
    bits = rng.random((n_codes, N_BITS)) < share_of_ones
    for number in range(n_pairs):
        bits[number] = bits[-1 - number]
        bits[number, rng.choice(N_BITS, rng.integers(MOST - 40, MOST + 5), replace=False)] ^= True
    return np.packbits(bits, axis=1)


def by_hand(codes, most):
    """Every pair, one after the other."""
    bits = np.unpackbits(codes, axis=1)
    pairs = [
        (i, j) for i in range(len(bits)) for j in i + 1 + np.flatnonzero((bits[i] != bits[i + 1 :]).sum(1) <= most)
    ]
    return np.array(pairs).reshape(-1, 2)


@pytest.mark.parametrize("seed", range(4))
def test_sampling_finds_what_comparing_finds(seed):
    codes = codes_with_pairs(seed)
    expected = by_hand(codes, MOST)
    assert 200 < len(expected) < 300  # some planted pairs lie beyond
    assert np.array_equal(compared(codes, MOST), expected)
    assert np.array_equal(sampled(codes, MOST), expected)


@pytest.mark.parametrize("share_of_ones", [0.0, 0.1, 0.2, 0.3])
def test_codes_with_most_bits_in_common_are_compared(share_of_ones):
    codes = codes_with_pairs(5, 300, 20, share_of_ones)
    assert np.array_equal(sampled(codes, MOST), by_hand(codes, MOST))


def test_many_codes_are_sampled_and_few_compared(monkeypatch):
    codes = codes_with_pairs(6, 200, 50)
    called = []
    for name in ("compared", "sampled"):
        real = getattr(_alike, name)
        monkeypatch.setattr(
            _alike, name, lambda codes, most, name=name, real=real: called.append(name) or real(codes, most)
        )
    first = near_pairs(codes, MOST)
    monkeypatch.setattr(_alike, "FEW", 199)
    assert np.array_equal(near_pairs(codes, MOST), first) and called == ["compared", "sampled"]


@pytest.mark.parametrize("few", [0, 10_000])
def test_one_recording_has_one_length_and_one_sound(few, monkeypatch):
    monkeypatch.setattr(_alike, "FEW", few)
    rng = np.random.default_rng(7)
    codes = codes_with_pairs(8, 300, 140)
    lengths = 10 + rng.integers(0, 100, len(codes)) / 50
    lengths[:140] = lengths[:-141:-1] + rng.choice([-0.4, -0.3, -0.1, 0.0, 0.2, 0.3], 140)
    bytes_of = [n // 2 if n > 290 else n for n in range(300)]
    scans = [
        Scan(f"{n:03}.wav", duration_s=lengths[n], fingerprint=str(bytes_of[n]), sound=codes[n].tobytes().hex())
        for n in range(300)
    ]
    scans += [Scan("broken.wav", reason="broken", fingerprint="1"), Scan("silent.wav", duration_s=10, fingerprint="s")]
    expected, first = set(), {}
    for one in sorted(scans[:300], key=lambda scan: (scan.duration_s, scan.path)):
        if one.fingerprint in first:
            expected.add((first[one.fingerprint].path, one.path, "same bytes"))
        else:
            first[one.fingerprint] = one
    for one, other in itertools.combinations(first.values(), 2):
        n_bits = bin(int(one.sound, 16) ^ int(other.sound, 16)).count("1")
        if other.duration_s - one.duration_s <= _scan.LENGTH_S and 1 - n_bits / N_BITS > _scan.N_EQUAL_BITS:
            expected.add((one.path, other.path, "same sound"))
    assert len(expected) > 50
    assert same_recordings(scans) == sorted(expected)
