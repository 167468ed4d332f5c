"""Reading TensorFlow checkpoints: what is written comes back, and whatever is wrong is said."""

import numpy as np
import pytest
import tensorflow_writer as writer
import torch

from sordino.backbones._crc32c import crc32c, masked_crc32c
from sordino.backbones._tensorflow_checkpoint import data_file, read_checkpoint


@pytest.fixture
def tensors():
    draw = np.random.default_rng(0)
    shapes = {f"conv2d_{i}/kernel": (3, 2, 1, 5) for i in range(23)}
    found = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    numbers = {"whole": np.arange(6, dtype=np.int64), "small": np.ones((2, 3), np.float16), "none": np.zeros((0, 4))}
    return {**found, "steps": np.array(7, np.int32), **numbers}


def test_the_checksum_is_that_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C in the catalogue of CRCs
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(b"") == 0


@pytest.mark.parametrize("n_bytes", [1, 1023, 1024, 1025, 5000])
def test_the_checksum_of_long_inputs_equals_the_plain_one(n_bytes):
    data = np.random.default_rng(n_bytes).integers(0, 256, n_bytes, np.uint8).tobytes()
    assert crc32c(data) == writer.crc32c(data)
    assert masked_crc32c(data) == writer.masked(data)


@pytest.mark.parametrize("with_crc", [True, False])
def test_all_tensors_come_back(tensors, tmp_path, with_crc):
    found = read_checkpoint(writer.write(tmp_path / "model.ckpt.index", tensors, with_crc))
    assert set(found) == set(tensors)
    for name, value in tensors.items():
        assert torch.equal(found[name], torch.from_numpy(value)), name
        assert found[name].dtype == torch.from_numpy(value).dtype


def test_only_what_is_wanted_is_read(tensors, tmp_path):
    index = writer.write(tmp_path / "model.ckpt.index", tensors, slots=True)
    found = read_checkpoint(index, lambda name: name == "conv2d_3/kernel/Adam")
    np.testing.assert_allclose(found.pop("conv2d_3/kernel/Adam"), 0.1 * tensors["conv2d_3/kernel"], rtol=1e-6)
    assert not found


def changed(path, at, length=1):
    data = bytearray(path.read_bytes())
    data[at : at + length] = bytes(byte ^ 0x55 for byte in data[at : at + length])
    path.write_bytes(bytes(data))


def cut(path, n_bytes):
    path.write_bytes(path.read_bytes()[:n_bytes])


DAMAGE = {
    "an index cut short": (lambda i, d: cut(i, 700), "does not end as one"),
    "an empty index": (lambda i, d: cut(i, 0), "does not end as one"),
    "no index": (lambda i, d: i.write_bytes(b"PK" + bytes(99)), "not the index of a TensorFlow checkpoint"),
    "a changed index": (lambda i, d: changed(i, 30), "block at byte 0 does not match its checksum"),
    "a wrong place of the blocks": (lambda i, d: changed(i, len(i.read_bytes()) - 45, 4), r"model\.ckpt\.index: "),
    "data cut short": (lambda i, d: cut(d, 100), r"tensor conv2d_0/kernel is cut short: 100 of 120 bytes"),
    "changed data": (lambda i, d: changed(d, 50), "tensor conv2d_0/kernel does not match its checksum"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_told_in_one_line(kind, tensors, tmp_path):
    index = writer.write(tmp_path / "model.ckpt.index", tensors)
    damage, message = DAMAGE[kind]
    damage(index, data_file(index))
    with pytest.raises(ValueError, match=message) as caught:
        read_checkpoint(index)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_missing_file_is_named(tensors, tmp_path):
    index = writer.write(tmp_path / "model.ckpt.index", tensors)
    data_file(index).unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.ckpt\.data-00000-of-00001 is missing"):
        read_checkpoint(index)
    with pytest.raises(FileNotFoundError, match=r"other\.index is missing"):
        read_checkpoint(tmp_path / "other.index")


KINDS = {
    "big-endian": ({"header": writer.number(2, 1)}, "big-endian"),
    "compressed": ({"compression": 1}, "block at byte 0 is compressed"),
    "text": ({"dtype": 7}, "has TensorFlow's type 7"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_read_is_told(kind, tensors, tmp_path):
    options, message = KINDS[kind]
    with pytest.raises(ValueError, match=message):
        read_checkpoint(writer.write(tmp_path / "model.ckpt.index", tensors, **options))


def test_a_tensor_in_slices_is_not_read(tmp_path):
    row = (b"x", writer.entry(np.ones(2, np.float32), 0, True) + writer.nested(7, b""))
    (tmp_path / "x.index").write_bytes(writer.table([(b"", writer.number(1, 1)), row]))
    with pytest.raises(ValueError, match="a tensor in slices"):
        read_checkpoint(tmp_path / "x.index")
