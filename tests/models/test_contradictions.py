from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.export import Dim

from torchship.errors import UsageError
from torchship.models.model import Description
from torchship.models.open import prepare
from torchship.models.recorder import Recorder


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 3), nn.Linear(2 * 36, 5)

    def forward(self, image):
        return self.last(self.first(image).flatten(1))


IMAGES = torch.zeros(2, 1, 8, 8)


def told(folder, images=IMAGES, **described):
    with pytest.raises(UsageError) as caught:
        Recorder(prepare(Description(Net().eval(), args=(images,), **described)), folder).record("net")
    return caught.value


def test_an_example_without_values(tmp_path):
    assert (
        told(tmp_path, IMAGES.to("meta")).what
        == "the example input image lies on the device meta, which holds no values"
    )


def test_an_open_end_is_an_open_end(tmp_path):
    shapes = {"image": {0: Dim("rows")}}
    model = prepare(Description(Net().eval(), args=(IMAGES,), dynamic_shapes=shapes))
    assert Recorder(model, tmp_path).record("net").signature.dim("rows").max is None


def test_an_example_outside_of_its_range(tmp_path):
    error = told(tmp_path, dynamic_shapes={"image": {0: Dim("rows", min=4, max=8)}})
    assert error.what == "the example's size rows is 2, and dynamic_shapes says 4..8"


def test_a_size_that_the_model_fixes(tmp_path):
    error = told(tmp_path, dynamic_shapes={"image": {0: Dim("rows"), 2: Dim("height", min=6, max=20)}})
    assert error.what.startswith("dynamic_shapes says that the size height may change, but the model takes 8 alone")
    assert "mat1 and mat2 shapes cannot be multiplied" in error.what
    assert error.where is not None
    assert error.where.startswith("test_contradictions.py:")


def test_labels_of_another_number_than_scores(tmp_path):
    error = told(tmp_path, labels=("cat", "dog"))
    assert error.what == "labels has 2 class names, and the outputs hold other numbers of scores: output 5"
