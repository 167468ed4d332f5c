"""TensorFlow checkpoints written in plain Python, as TensorFlow's Saver writes them: for tests of the reader."""

import struct

import numpy as np

TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}
RESTART_INTERVAL = 16


def crc32c(data):
    """Bit by bit of the definition, through a table of bytes."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    state = 0xFFFFFFFF
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((((crc >> 15) | (crc << 17)) & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value):
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def nested(field, message):
    return varint(field << 3 | 2) + varint(len(message)) + message


def entry(array, offset, with_crc, dtype=None):
    """A `BundleEntryProto`; fields of value zero are left out, as protobuf does."""
    shape = b"".join(nested(2, number(1, size)) for size in array.shape)
    raw = array.tobytes()
    crc = varint(6 << 3 | 5) + struct.pack("<I", masked(raw)) if with_crc else b""
    return (
        number(1, dtype or TYPES[str(array.dtype)]) + nested(2, shape) + number(4, offset) + number(5, len(raw)) + crc
    )


def block(rows, compression=0):
    """One block with its trailer; names share their beginnings, anew after some rows."""
    data, restarts, before = b"", [], b""
    for count, (key, value) in enumerate(rows):
        shared = 0
        if count % RESTART_INTERVAL == 0:
            restarts.append(len(data))
        else:
            while shared < min(len(before), len(key)) and before[shared] == key[shared]:
                shared += 1
        data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    data += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    data += bytes([compression])
    return data + struct.pack("<I", masked(data))


def table(rows, rows_per_block=20, compression=0):
    """A LevelDB table."""
    found, index = b"", []
    for begin in range(0, len(rows), rows_per_block):
        some = rows[begin : begin + rows_per_block]
        written = block(some, compression)
        index.append((some[-1][0], varint(len(found)) + varint(len(written) - 5)))
        found += written
    handles = b""
    for written in (block([]), block(index)):
        handles += varint(len(found)) + varint(len(written) - 5)
        found += written
    return found + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def write(index, tensors, with_crc=True, slots=False, header=b"", compression=0, dtype=None):
    """Write `PREFIX.index` and its data file beside it; `slots`: with what Adam keeps for each tensor."""
    everything = dict(tensors)
    if slots:
        for name, value in tensors.items():
            everything |= {f"{name}/Adam": 0.1 * value, f"{name}/Adam_1": value**2}
        everything |= {"beta1_power": np.float32(0.9) * np.ones((), np.float32), "beta2_power": np.ones((), np.float32)}
    rows, data = [(b"", number(1, 1) + nested(3, number(1, 1)) + header)], b""
    for name in sorted(everything, key=str.encode):
        array = np.ascontiguousarray(everything[name]) if everything[name].ndim else everything[name]
        rows.append((name.encode(), entry(array, len(data), with_crc, dtype)))
        data += array.tobytes()
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_bytes(table(rows, compression=compression))
    index.with_name(index.name.removesuffix(".index") + ".data-00000-of-00001").write_bytes(data)
    return index
