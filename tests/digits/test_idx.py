from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digits.mnist_files import COUNT, FILES, IMAGE_FILE, IMAGES, LABEL_FILE, LABELS, folder_with, plain
from torchship.digits import idx
from torchship.errors import MalformedError, UsageError

NAMES = list(FILES)


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


PACKINGS = pytest.mark.parametrize(("packing", "end"), [(plain, ""), (zipped, ".gz")], ids=["plain", "gzip"])


def refused(folder: Path) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        idx.read_folder(folder)
    assert caught.value.exit_status == 3
    return caught.value


@PACKINGS
def test_reads_what_was_written(tmp_path, packing, end):
    split = idx.read_folder(folder_with(tmp_path, packing, end))
    for part in (split.train, split.held_out):
        np.testing.assert_array_equal(part.images, IMAGES)
        np.testing.assert_array_equal(part.labels, LABELS)


def test_takes_the_other_spelling_and_a_gz_name_on_plain_bytes(tmp_path):
    for name, content in FILES.items():
        (tmp_path / f"{name.replace('-idx', '.idx')}.gz").write_bytes(content)
    assert len(idx.read_folder(tmp_path).train) == COUNT


def test_the_two_parts_are_not_mixed_up(tmp_path):
    label = struct.pack(">4B1I", 0, 0, 8, 1, COUNT) + bytes([3] * COUNT)
    split = idx.read_folder(folder_with(tmp_path, t10k_labels_idx1_ubyte=label))
    assert set(split.held_out.labels) == {3}
    np.testing.assert_array_equal(split.train.labels, LABELS)


@PACKINGS
@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path, name, packing, end):
    (folder_with(tmp_path, packing, end) / f"{name}{end}").unlink()
    with pytest.raises(UsageError, match=f"no file {name} or {name}.gz"):
        idx.read_folder(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(UsageError, match="is not a folder"):
        idx.read_folder(tmp_path / "none")


@PACKINGS
@pytest.mark.parametrize(
    ("name", "content", "offset", "told"),
    [
        ("train-images-idx3-ubyte", b"", 0, "ends here, inside its header of 16 bytes"),
        ("train-images-idx3-ubyte", IMAGE_FILE[:15], 15, "ends here, inside its header of 16 bytes"),
        ("train-labels-idx1-ubyte", LABEL_FILE[:7], 7, "ends here, inside its header of 8 bytes"),
        ("train-images-idx3-ubyte", b"\x89PNG" + IMAGE_FILE[4:], 0, "the magic number is 89504e47, not 00000803"),
        ("train-images-idx3-ubyte", b"\0\0\x0d" + IMAGE_FILE[3:], 2, "the magic number is 00000d03, not 00000803"),
        ("train-images-idx3-ubyte", LABEL_FILE, 3, "the magic number is 00000801, not 00000803"),
        ("t10k-labels-idx1-ubyte", IMAGE_FILE, 3, "the magic number is 00000803, not 00000801"),
        ("t10k-images-idx3-ubyte", IMAGE_FILE[:8] + struct.pack(">2I", 32, 28), 8, "declares dim 1 as 32"),
        ("t10k-images-idx3-ubyte", IMAGE_FILE[:8] + struct.pack(">2I", 28, 27), 12, "declares dim 2 as 27"),
        ("train-labels-idx1-ubyte", LABEL_FILE[:4] + bytes(4), 4, "declares 0 items; 1 to 1,000,000 are taken"),
        ("train-labels-idx1-ubyte", LABEL_FILE[:4] + b"\xff" * 4, 4, "declares 4,294,967,295 items"),
        ("train-images-idx3-ubyte", IMAGE_FILE + b"\0", len(IMAGE_FILE), "goes on here, after the 20 that it declares"),
        ("train-labels-idx1-ubyte", LABEL_FILE + b"12", len(LABEL_FILE), "goes on here, after the 20 that it declares"),
        ("train-labels-idx1-ubyte", LABEL_FILE[:12] + b"\x0a" + LABEL_FILE[13:], 12, "label 10, but digits are 0 to 9"),
    ],
)
def test_each_kind_of_damage_is_told_by_name_and_offset(tmp_path, packing, end, name, content, offset, told):
    error = refused(folder_with(tmp_path, packing, end, **{name: content}))
    assert error.what.startswith(f"{name}{end}, byte {offset}: ")
    assert told in error.what
    assert error.where == str(tmp_path / f"{name}{end}")


@PACKINGS
def test_counts_that_disagree(tmp_path, packing, end):
    fewer = struct.pack(">4B3I", 0, 0, 8, 3, COUNT - 1, 28, 28) + IMAGES[1:].tobytes()
    error = refused(folder_with(tmp_path, packing, end, t10k_images_idx3_ubyte=fewer))
    assert error.what == (
        f"t10k-images-idx3-ubyte{end}, byte 4: 19 images, but t10k-labels-idx1-ubyte{end} has 20 labels"
    )


def test_declared_data_that_the_file_cannot_hold_is_never_asked_for(tmp_path):
    huge = struct.pack(">4B3I", 0, 0, 8, 3, 1_000_000, 28, 28) + bytes(100)
    for packing in (plain, zipped):
        folder_with(tmp_path, packing, train_images_idx3_ubyte=huge)
        tracemalloc.start()
        end = len(packing(huge))
        told = "ends here, too early for the 784,000,000 bytes of data that it declares"
        assert refused(tmp_path).what == f"train-images-idx3-ubyte, byte {end}: {told}"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


def test_a_bomb_is_not_decompressed_beyond_what_it_declares(tmp_path):
    bomb = gzip.compress(IMAGE_FILE + bytes(200 << 20), compresslevel=9)
    folder_with(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(bomb)
    tracemalloc.start()
    assert refused(tmp_path).what.startswith(f"train-images-idx3-ubyte, byte {len(IMAGE_FILE)}: goes on here")
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()


def test_bytes_after_the_gzip_stream(tmp_path):
    folder_with(tmp_path, lambda content: zipped(content) + b"more")
    at = len(zipped(LABEL_FILE))
    assert refused(tmp_path).what == f"train-labels-idx1-ubyte, byte {at}: the gzip stream goes on here, after its end"


def test_a_flipped_checksum_in_the_gzip_trailer(tmp_path):
    def with_another_crc(content: bytes) -> bytes:
        packed = bytearray(zipped(content))
        packed[-8] ^= 1
        return bytes(packed)

    assert "the gzip stream damaged here or soon after" in refused(folder_with(tmp_path, with_another_crc)).what


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    name=st.sampled_from(NAMES), packing=st.sampled_from([plain, zipped]), fraction=st.floats(0, 1, exclude_max=True)
)
def test_cut_anywhere(tmp_path, name, packing, fraction):
    folder_with(tmp_path, packing)
    whole = packing(FILES[name])
    kept = int(len(whole) * fraction)
    (tmp_path / name).write_bytes(whole[:kept])
    error = refused(tmp_path)
    if packing is plain:
        assert error.what.startswith(f"{name}, byte {kept}: ends here")
    elif kept > 1:  # the first byte alone doesn't tell that it was gzip
        assert error.what == f"{name}, byte {kept}: the gzip stream ends here, but its data goes on"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(data=st.data(), name=st.sampled_from(NAMES), packing=st.sampled_from([plain, zipped]))
def test_a_changed_byte_is_refused_by_name_or_changes_one_value(tmp_path, data, name, packing):
    folder_with(tmp_path, packing)
    content = bytearray(packing(FILES[name]))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    (tmp_path / name).write_bytes(content)
    try:
        split = idx.read_folder(tmp_path)
    except MalformedError as error:
        assert error.what.startswith((f"{name}, byte ", f"{name.replace('labels-idx1', 'images-idx3')}, byte 4: "))  # noqa: PT017
        return
    part = split.train if name.startswith("train") else split.held_out
    changed = np.count_nonzero(part.images != IMAGES) + np.count_nonzero(part.labels != LABELS)
    assert changed == (1 if packing is plain else 0)
