from __future__ import annotations

import hashlib
import re
from importlib import resources

import numpy as np
import pytest

from torchship.digits import data


def sha256(digits: data.Digits) -> str:
    return hashlib.sha256(digits.images.tobytes() + digits.labels.tobytes()).hexdigest()


def test_five_hundred_of_each_digit_and_no_picture_twice():
    digits = data.embedded()
    assert (digits.images.shape, digits.images.dtype) == ((5000, 28, 28), np.uint8)
    assert (digits.labels.shape, digits.labels.dtype) == ((5000,), np.uint8)
    assert np.bincount(digits.labels).tolist() == [500] * 10
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert len(set(digits.fingerprints())) == 5000


def test_white_ink_on_black():
    images = data.embedded().images
    border = np.concatenate([images[:, [0, -1], :].ravel(), images[:, :, [0, -1]].ravel()])
    assert np.mean(border == 0) > 0.999
    assert images[:, 12:16, 12:16].mean() > 80


def test_a_one_is_narrow_and_a_zero_is_hollow():
    digits = data.embedded()
    zero, one = (digits.images[digits.labels == digit].mean(axis=0) for digit in (0, 1))
    assert zero[13:15, 13:15].max() < 30
    assert one[13:15, 13:15].min() > 150
    assert one[:, :6].max() < 3


def test_what_source_md_says_is_what_is_there():
    folder = resources.files("torchship.digits") / "data"
    told = (folder / "SOURCE.md").read_text()
    assert sha256(data.embedded()) in told
    assert hashlib.sha256((folder / "mnist5k.npz").read_bytes()).hexdigest() in told
    for licence in re.findall(r"`(LICENSE-[\w.-]+)`", told):
        assert (folder / licence).read_text().strip()
    assert "CC BY-SA 3.0" in told


def test_the_split_never_drifts():
    split = data.split()
    assert sha256(split.train) == "9745fc96c7ab562bee26e4623d29b2b542c37a644f2c7e3f06448a0edc1b5a07"
    assert sha256(split.held_out) == "5c7f6648a3462e49b7ef97f75a380674a6948b50f98e30fae6024a5b31718b4a"


def test_the_split_is_stratified_and_shares_no_picture():
    split = data.split()
    assert np.bincount(split.train.labels).tolist() == [400] * 10
    assert np.bincount(split.held_out.labels).tolist() == [100] * 10
    assert not set(split.train.fingerprints()) & set(split.held_out.fingerprints())


def test_both_parts_are_mixed_all_through():
    for part in (data.split().train, data.split().held_out):
        for piece in np.array_split(part.labels, 5):
            assert np.bincount(piece, minlength=10).min() >= len(piece) / 20


def test_batch_has_a_channel():
    split = data.split()
    assert split.held_out.batch().shape == (1000, 1, 28, 28)
    np.testing.assert_array_equal(split.held_out.batch()[7, 0], split.held_out.images[7])


def test_without_leaves_out_equal_pictures_alone():
    split = data.split()
    both = data.Digits(
        np.concatenate([split.train.images[:50], split.held_out.images[:30]]),
        np.concatenate([split.train.labels[:50], split.held_out.labels[:30]]),
    )
    left = data.without(both, split.held_out)
    np.testing.assert_array_equal(left.images, split.train.images[:50])
    np.testing.assert_array_equal(left.labels, split.train.labels[:50])


def test_the_embedded_arrays_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        data.embedded().images[0, 0, 0] = 1
