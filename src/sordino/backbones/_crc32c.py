"""CRC-32C (Castagnoli), the checksum of TensorFlow's and LevelDB's files, in their masked form.

Paper: Castagnoli et al., Optimization of Cyclic Redundancy-Check Codes with 24 and 32 Parity Bits, 1993
https://doi.org/10.1109/26.231911
"""

from __future__ import annotations

import numpy as np

POLYNOMIAL = 0x82F63B78  # of Castagnoli, bits reversed
MASK_DELTA = 0xA282EAD8
N_LANES = 1024  # stretches of a long input that are read side by side


def _table() -> np.ndarray:
    value = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        value = np.where(value & 1, (value >> 1) ^ np.uint32(POLYNOMIAL), value >> 1)
    return value


TABLE = _table()


def crc32c(data: bytes) -> int:
    """The checksum of some bytes."""
    values = np.frombuffer(data, np.uint8)
    length = len(values) // N_LANES
    state, rest = 0xFFFFFFFF, values
    if length:
        lanes, rest = values[: length * N_LANES].reshape(N_LANES, length), values[length * N_LANES :]
        found = np.zeros(N_LANES, np.uint32)
        for column in lanes.T:
            found = _step(found, column)
        moved = _zeros(length)
        for lane in found:
            state = _apply(moved, state) ^ int(lane)
    for value in rest.tolist():
        state = int(TABLE[(state ^ value) & 0xFF]) ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The checksum as it is stored: turned by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def _step(state: np.ndarray, values: np.ndarray) -> np.ndarray:
    """States behind one more byte each."""
    return TABLE[(state ^ values) & 0xFF] ^ (state >> np.uint32(8))


def _zeros(n_bytes: int) -> list[int]:
    """What `n_bytes` zeros make of each single bit of a state; a checksum is linear in its bits."""
    state = np.left_shift(np.uint32(1), np.arange(32, dtype=np.uint32))
    for _ in range(n_bytes):
        state = _step(state, np.zeros(32, np.uint8))
    return state.tolist()


def _apply(moved: list[int], state: int) -> int:
    """The state that the bits of `state` become together."""
    total = 0
    for bit, value in enumerate(moved):
        total ^= value if state >> bit & 1 else 0
    return total
