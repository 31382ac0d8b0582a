from __future__ import annotations

import numpy as np
import pytest

from torchship.errors import InputError
from torchship.verify import agreement, evaluate_scores


def test_accuracy_and_confusion_of_four_rows():
    scores = np.array([[2, 1], [0, 3], [5, 4], [1, 2]], np.float32)
    found = evaluate_scores(scores, np.array([0, 1, 1, 1]))
    assert found.accuracy == 0.75
    assert found.confusion == ((1, 0), (1, 2))
    assert found.samples == 4


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        (np.zeros((2, 2)), np.array([0, 2])),
        (np.zeros((2, 2)), np.array([0, -1])),
        (np.zeros((2, 2)), np.array([0])),
        (np.zeros(2), np.array([0, 1])),
        (np.zeros((2, 2)), np.array([0.0, 1.0])),
        (np.zeros((0, 2)), np.array([], np.int64)),
    ],
)
def test_labels_that_do_not_fit_are_refused(scores, labels):
    with pytest.raises(InputError):
        evaluate_scores(scores, labels)


def test_agreement_is_the_share_of_equal_choices():
    assert agreement(np.array([[1, 0], [0, 1]]), np.array([[1, 0], [1, 0]])) == 0.5
