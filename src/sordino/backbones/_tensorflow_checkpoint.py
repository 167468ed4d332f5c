"""TensorFlow checkpoints without TensorFlow: `PREFIX.index` and `PREFIX.data-00000-of-00001`.

The index is a LevelDB table: blocks of entries with shared prefixes, behind each block its compression and a checksum,
at the end of the file a footer with the place of the block that lists the blocks. A value is a protobuf
(`BundleHeaderProto` under the empty key, else `BundleEntryProto`): type, shape, shard, offset, size and checksum of a
tensor, which lies raw in the data file.

Conventions: no compression, little-endian, types of `TYPES`, whole tensors, as TensorFlow's Saver writes them; anything
else is an error that says what it is.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sordino.backbones._crc32c import masked_crc32c

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
TRAILER_BYTES = 5  # compression and checksum behind each block
TYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8"), 19: np.dtype("<f2")}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protobuf


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies.

    Attributes:
        dtype: TensorFlow's number of its type.
        shape: its sizes.
        shard: the number of the data file.
        offset: of its first byte there.
        size: in bytes.
        crc: its masked CRC-32C; None where none is written.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int | None


def read_checkpoint(index: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name.

    Args:
        index: the `.index` file; the data files lie beside it.
        wanted: says which names are read; the others are skipped.

    Raises:
        FileNotFoundError: the index or a data file is not there.
        ValueError: a file is cut short or damaged, or of a kind that is not read; says which and where.
    """
    entries, n_shards = read_index(index)
    shards: dict[int, bytes] = {}
    tensors = {}
    for name, entry in entries.items():
        if not wanted(name):
            continue
        path = data_file(index, entry.shard, n_shards)
        if entry.shard not in shards:
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing; it belongs to {index.name}")
            shards[entry.shard] = path.read_bytes()
        tensors[name] = _tensor(shards[entry.shard], entry, f"{path}: tensor {name}")
    return tensors


def data_file(index: Path, shard: int = 0, n_shards: int = 1) -> Path:
    """The data file of a shard beside its index."""
    return index.with_name(f"{index.name.removesuffix('.index')}.data-{shard:05d}-of-{n_shards:05d}")


def read_index(index: Path) -> tuple[dict[str, Entry], int]:
    """Where each tensor of a checkpoint lies, and the number of data files.

    Raises:
        FileNotFoundError: there is no index.
        ValueError: it is no index, damaged, or of a kind that is not read.
    """
    if not index.is_file():
        raise FileNotFoundError(f"{index} is missing; a TensorFlow checkpoint is PREFIX.index with PREFIX.data-*")
    table = index.read_bytes()
    try:
        rows = dict(_table(table))
        header = dict(_fields(rows.pop(b"", b"")))
        entries = {key.decode(): _entry(value) for key, value in rows.items()}
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"{index}: damaged or cut short ({error}); install or fetch it again") from error
    except ValueError as error:
        raise ValueError(f"{index}: {error}") from error
    if header.get(2):
        raise ValueError(f"{index}: a big-endian checkpoint, which is not read")
    return entries, header.get(1, 1)


def _tensor(shard: bytes, entry: Entry, where: str) -> Tensor:
    """One tensor out of its data file."""
    dtype = TYPES.get(entry.dtype)
    if dtype is None:
        raise ValueError(f"{where} has TensorFlow's type {entry.dtype}; only {sorted(TYPES)} are read")
    if entry.size != math.prod(entry.shape) * dtype.itemsize:
        raise ValueError(f"{where} has {entry.size} bytes, but shape {entry.shape} of {dtype} has other")
    raw = shard[entry.offset : entry.offset + entry.size]
    if len(raw) < entry.size:
        raise ValueError(f"{where} is cut short: {len(raw)} of {entry.size} bytes; install or fetch the file again")
    if entry.crc is not None and masked_crc32c(raw) != entry.crc:
        raise ValueError(f"{where} does not match its checksum; install or fetch the file again")
    array = np.frombuffer(raw, dtype).reshape(entry.shape)
    return torch.from_numpy(array.astype(dtype.newbyteorder("=")))


def _table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table."""
    footer = table[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("not the index of a TensorFlow checkpoint, or cut short: it does not end as one")
    _, _, at = _handle(footer, 0)
    offset, size, _ = _handle(footer, at)
    for _, handle in _block(table, offset, size):
        yield from _block(table, *_handle(handle, 0)[:2])


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Offset and size of a block, and where its handle ends."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return offset, size, at


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block."""
    block = table[offset : offset + size + TRAILER_BYTES]
    if len(block) < size + TRAILER_BYTES:
        raise ValueError(f"the block at byte {offset} is cut short; install or fetch the file again")
    compression, crc = struct.unpack("<BI", block[size:])
    if crc != masked_crc32c(block[: size + 1]):
        raise ValueError(f"the block at byte {offset} does not match its checksum; install or fetch the file again")
    if compression:
        raise ValueError(f"the block at byte {offset} is compressed (kind {compression}), which is not read")
    (n_restarts,) = struct.unpack("<I", block[size - 4 : size])
    at, end, key = 0, size - 4 * (n_restarts + 1), b""
    while at < end:
        n_shared, at = _varint(block, at)
        n_new, at = _varint(block, at)
        n_value, at = _varint(block, at)
        key = key[:n_shared] + block[at : at + n_new]
        at += n_new + n_value
        yield key, block[at - n_value : at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of a protobuf's fields; nested messages as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(message, at)
        elif wire == BYTES:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
            value, at = int.from_bytes(message[at : at + size], "little"), at + size
        else:
            raise ValueError(f"a protobuf field of wire type {wire}, which is not read")
        yield number, value


def _entry(message: bytes) -> Entry:
    """A `BundleEntryProto`."""
    known: dict[int, Any] = dict(_fields(message))
    if 7 in known:
        raise ValueError("a tensor in slices, which is not read")
    sizes = [dict(_fields(dim)).get(1, 0) for number, dim in _fields(known.get(2, b"")) if number == 2]
    return Entry(known.get(1, 0), tuple(sizes), known.get(3, 0), known.get(4, 0), known.get(5, 0), known.get(6))
