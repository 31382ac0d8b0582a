"""Many inputs: joined to batches where that changes nothing, and a bad one harms no other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_bundle import images, scores
from torchship.errors import InputError, TorchshipError
from torchship.runtime import ShippedModel
from torchship.runtime.labels import label_of
from torchship.runtime.many import Given, answer_all, answer_one
from torchship.targets import Array


def _given(name: str, array: np.ndarray[Any, Any]) -> Given:
    stream = io.BytesIO()
    np.save(stream, array)
    return Given(name, stream.getvalue)


class _Counting(ShippedModel):
    """Notes the batches that it is asked with; fails on any that holds the value 255."""

    def __init__(self, model: ShippedModel) -> None:
        self.__dict__.update(model.__dict__)
        self.batches: list[int] = []

    def infer(self, arrays: Sequence[Array]) -> list[Array]:
        self.batches.append(len(arrays[0]))
        if (arrays[0] == 255).any():
            raise RuntimeError("the runtime broke")
        return super().infer(arrays)


def _calm(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.minimum(images(count, seed), 254).astype(np.uint8)


def test_they_are_joined_and_come_back_in_their_order(model: ShippedModel) -> None:
    counting = _Counting(model)
    given = [_given(str(seed), _calm(1 + seed % 3, seed)) for seed in range(40)]
    answers = list(answer_all(counting, given))
    assert [answer.name for answer in answers] == [str(seed) for seed in range(40)]
    for seed, answer in enumerate(answers):
        assert answer.outputs is not None
        assert answer.outputs["scores"].tolist() == scores(_calm(1 + seed % 3, seed)).tolist()
    assert len(counting.batches) == 3
    assert max(counting.batches) <= 32


def test_each_bad_one_is_told_and_the_rest_answered(model: ShippedModel) -> None:
    counting = _Counting(model)
    breaking = np.full((1, 1, 4, 6), 255, np.uint8)
    given = [
        _given("good 1", _calm(1)),
        Given("gone", Path("/nonexistent/file").read_bytes),
        _given("wrong size", np.zeros((1, 1, 4, 7), np.uint8)),
        _given("good 2", _calm(1)),
        _given("breaks", breaking),
        _given("good 3", _calm(1)),
        Given("rubbish", lambda: b"rubbish"),
    ]
    answers = {answer.name: answer for answer in answer_all(counting, given)}
    assert list(answers) == [one.name for one in given]
    good = scores(_calm(1)).tolist()
    assert [(answers[f"good {n}"].outputs or {})["scores"].tolist() for n in (1, 2, 3)] == [good] * 3
    told = {name: str(answer.error) for name, answer in answers.items() if answer.error is not None}
    assert told.keys() == {"gone", "wrong size", "breaks", "rubbish"}
    assert "gone can't be read: No such file" in told["gone"]
    assert "axis 3 is 7 instead of 6" in told["wrong size"]
    assert "the runtime failed on breaks: RuntimeError: the runtime broke" in told["breaks"]
    assert "neither an array, a picture nor JSON" in told["rubbish"]


def test_one_alone_raises_what_is_wrong(model: ShippedModel) -> None:
    assert answer_one(model, _given("x", images(2)))["scores"].tolist() == scores(images(2)).tolist()
    with pytest.raises(TorchshipError, match="gone can't be read") as caught:
        answer_one(model, Given("gone", Path("/nonexistent/file").read_bytes))
    assert caught.value.exit_status == 2
    with pytest.raises(InputError, match=r"batch \(axis 0\) is 0"):
        answer_one(model, _given("x", images(0)))


def test_labels() -> None:
    names = ("a", "b", "c")
    assert label_of(np.array([[0.1, 0.9, 0.0]]), names) == "b"
    assert label_of(np.array([0.1, 0.0, 0.9]), names) == "c"
    assert label_of(np.array([[1, 0, 0], [0, 0, 1]]), names) == ["a", "c"]
    assert label_of(np.array([[1.0, 0, 0], [0, np.nan, 1]]), names) == ["a", None]
    assert label_of(np.array([[[1.0, 0, 0], [0, 2.0, 1]]]), names) == ["a", "b"]
    assert label_of(np.array([[1.0, 0]]), names) is None
    assert label_of(np.array(1.0), names) is None
    assert label_of(np.array([[1.0]]), ()) is None
