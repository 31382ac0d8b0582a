from __future__ import annotations

import numpy as np
import torch

from torchship import digits
from torchship.digits import data


def test_the_source_dict_of_the_contract(linear):
    source = digits.source(linear)
    assert set(source) == {
        "model", "args", "dynamic_shapes", "preprocess", "labels", "fresh", "calibration", "evaluate", "names",
        "train",
    }  # fmt: skip
    assert source["labels"] == list("0123456789")
    assert source["names"] == {"inputs": ["image"], "outputs": ["scores"]}
    assert not source["model"].training
    assert not source["preprocess"].training


def test_its_parts_fit_together(linear):
    source = digits.source(linear)
    (image,) = source["args"]
    assert (image.shape, image.dtype) == ((2, 1, 28, 28), torch.uint8)
    scores = source["model"](source["preprocess"](image))
    assert (scores.shape, scores.dtype) == ((2, 10), torch.float32)
    dim = source["dynamic_shapes"]["image"][0]
    assert (dim.__name__, dim.min, dim.max) == ("batch", 1, 1024)


def test_accuracy_is_that_of_the_held_out_thousand(linear):
    source = digits.source(linear)
    held_out = data.split().held_out
    image, labels = source["evaluate"]["image"], source["evaluate"]["labels"]
    np.testing.assert_array_equal(image[:, 0], held_out.images)
    np.testing.assert_array_equal(labels, held_out.labels)
    with torch.inference_mode():
        answers = source["model"](source["preprocess"](torch.tensor(image))).argmax(1).numpy()
    assert np.mean(answers == labels) > 0.8


def test_fresh_inputs_are_held_out_digits_extremes_and_noise(linear):
    made = [image for (image,) in digits.source(linear)["fresh"]()]
    assert [list(image.shape) for image in made] == [[n, 1, 28, 28] for n in (1, 3, 32, 1, 2, 5)]
    assert {image.dtype for image in made} == {torch.uint8}
    trained = set(data.split().train.fingerprints())
    shown = data.Digits(np.concatenate([image[:, 0].numpy() for image in made[:3]]), np.zeros(36, np.uint8))
    assert not trained & set(shown.fingerprints())
    assert [made[3].max().item(), made[4].min().item()] == [0, 255]
    assert made[5].unique().numel() > 250
    again = [image for (image,) in digits.source(linear)["fresh"]()]
    assert all(torch.equal(one, other) for one, other in zip(made, again, strict=True))


def test_calibration_is_from_the_training_part(linear):
    batches = [image for (image,) in digits.source(linear)["calibration"]]
    images = torch.cat(batches)
    assert [len(batch) for batch in batches] == [32] * 16
    np.testing.assert_array_equal(images.numpy()[:, 0], data.split().train.images[:512])
