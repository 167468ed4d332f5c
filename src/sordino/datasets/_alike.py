"""Pairs of codes that differ in few bits, without comparing each with each.

Few codes are all compared. Of many, those are compared that agree in some bits chosen at random, for many choices
(Indyk and Motwani, Approximate Nearest Neighbors: Towards Removing the Curse of Dimensionality, 1998, sampling of
bits). There are so many choices that a pair which differs in as many bits as are allowed is missed with a probability
of `MISSED`, and a nearer one hardly ever. The choices are the same in every run.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int, UInt8

FEW = 8_192  # codes that are all compared
MISSED = 1e-5
ROWS = 512  # compared with all others at once
ONES = np.array([bin(number).count("1") for number in range(1 << 16)], np.uint8)  # in 16 bits

Codes = UInt8[np.ndarray, "code byte"]
Pairs = Int[np.ndarray, "pair 2"]


def near_pairs(codes: Codes, most: int) -> Pairs:
    """Pairs of codes that differ in at most `most` bits: their numbers, the smaller first, in order.

    Args:
        codes: each an even number of bytes.
        most: bits.
    """
    return compared(codes, most) if len(codes) <= FEW else sampled(codes, most)


def compared(codes: Codes, most: int) -> Pairs:
    """`near_pairs` by comparing each with each."""
    signs = np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1
    limit = signs.shape[1] - 2 * most  # of the product of signs
    found = [np.zeros((0, 2), np.int64)]
    for first in range(0, len(signs), ROWS):
        alike = np.argwhere(signs[first : first + ROWS] @ signs[first:].T >= limit)
        found.append(alike[alike[:, 1] > alike[:, 0]] + first)
    return np.concatenate(found)


def sampled(codes: Codes, most: int) -> Pairs:
    """`near_pairs` by comparing those that agree in bits chosen at random.

    Where that proves more work than to compare each with each, because the codes have most bits in common, this is
    what is done.
    """
    n_codes, n_bits = len(codes), 8 * codes.shape[1]
    n_chosen = round(math.log2(n_codes)) + 3  # so that most codes are alone with their bits
    agree = math.prod((n_bits - most - k) / (n_bits - k) for k in range(n_chosen))
    columns = np.ascontiguousarray(np.unpackbits(codes, axis=1).T)
    words, rng, budget = codes.view(np.uint16), np.random.default_rng(0), n_codes**2 // 8
    numbers, low = np.arange(n_codes, dtype=np.uint64), np.uint64(0xFFFFFFFF)
    found = [np.zeros(0, np.int64)]
    for _ in range(math.ceil(math.log(MISSED) / math.log1p(-agree))):
        key = np.zeros(n_codes, np.uint32)
        for bit in rng.choice(n_bits, n_chosen, replace=False):
            key = key << 1 | columns[bit]
        both = np.sort(key.astype(np.uint64) << np.uint64(32) | numbers)  # much faster than to sort the numbers
        key, order, step = both >> np.uint64(32), (both & low).astype(np.int64), 1
        while len(same := np.flatnonzero(key[step:] == key[:-step])):
            one, other = order[same], order[same + step]
            near = ONES[words[one] ^ words[other]].sum(1, dtype=np.int32) <= most
            one, other = one[near], other[near]
            found.append(np.minimum(one, other) * n_codes + np.maximum(one, other))
            budget, step = budget - len(same), step + 1
            if budget < 0:
                return compared(codes, most)
    return np.stack(np.divmod(np.unique(np.concatenate(found)), n_codes), 1)
