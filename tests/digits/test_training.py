from __future__ import annotations

import numpy as np
import pytest
import torch

from torchship.digits import data, training
from torchship.digits.evaluation import Evaluation, evaluate
from torchship.errors import TorchshipError

GRID = [(loss, optimizer) for loss in ("ce", "bce", "mse") for optimizer in ("sgd", "adam")]


def trained(arch="cnn", loss="ce", optimizer="adam", seed=0, digits=None, epochs=1) -> training.Training:
    made = training.start(training.Recipe(arch, loss, optimizer, seed))
    training.train(made, data.split().train if digits is None else digits, epochs)
    return made


def weights(made: training.Training) -> bytes:
    return b"".join(value.numpy().tobytes() for value in made.net.state_dict().values())


def accuracy(made: training.Training) -> float:
    return evaluate(made.net, made.preprocess, data.split().held_out).accuracy


def test_linear_by_the_defaults():
    assert accuracy(trained("linear", epochs=training.EPOCHS)) >= 0.88


def test_cnn_after_two_epochs():
    assert accuracy(trained("cnn", epochs=2)) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "optimizer"), GRID)
@pytest.mark.parametrize(("arch", "least"), [("cnn", 0.97), ("linear", 0.88)])
def test_every_loss_with_every_optimizer(arch, least, loss, optimizer):
    assert accuracy(trained(arch, loss, optimizer, epochs=training.EPOCHS)) >= least


@pytest.mark.parametrize(("loss", "optimizer"), GRID)
def test_linear_learns_by_every_loss_and_optimizer(loss, optimizer):
    assert accuracy(trained("linear", loss, optimizer, epochs=2)) >= 0.85


@pytest.mark.parametrize("arch", ["cnn", "linear"])
def test_the_seed_fixes_the_weights_bit_for_bit(few, arch):
    first, again, other = (weights(trained(arch, seed=seed, digits=few)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_weights_depend_on_neither_the_callers_generator_nor_threads(few):
    plain = weights(trained(digits=few))
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        torch.manual_seed(99)
        torch.set_num_threads(2)
        assert weights(trained(digits=few)) == plain
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)


def test_training_leaves_the_callers_settings_as_they_were(few):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    trained("linear", digits=few)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_settings_come_back_after_an_error_too():
    threads = torch.get_num_threads()

    def interrupted():
        with training.reproducible():
            assert torch.get_num_threads() == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_each_epoch_has_an_order_of_its_own(few):
    first, second = (training.start(training.Recipe("linear")) for _ in range(2))
    second.epochs = 1
    for group in second.optimizer.param_groups:
        group["lr"] = 0
    training.train(first, few, 1)
    training.train(second, few, 1)
    assert weights(first) != weights(second)


def test_steps_are_told(few):
    steps: list[training.Step] = []
    training.train(training.start(training.Recipe("linear")), few, 2, steps.append)
    assert [(step.epoch, step.done, step.total) for step in steps] == [(1 + i // 10, i + 1, 20) for i in range(20)]
    assert steps[0].loss > steps[-1].loss > 0


def test_a_loss_that_is_not_finite_ends_the_training(few):
    made = training.start(training.Recipe("linear"))
    with torch.no_grad():
        made.net.linear.bias[3] = float("nan")
    with pytest.raises(TorchshipError, match="the loss became nan in epoch 1"):
        training.train(made, few, 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ce", np.log(np.exp([2, 0, 0]).sum()) - 2),
        ("bce", np.log1p(np.exp(-2)) + 2 * np.log(2)),
        ("mse", (np.exp(2) / (np.exp(2) + 2) - 1) ** 2 + 2 / (np.exp(2) + 2) ** 2),
    ],
)
def test_the_losses_by_hand(monkeypatch, name, expected):
    monkeypatch.setattr(training, "CLASSES", 3)
    loss = training.LOSSES[name](torch.tensor([[2.0, 0, 0]] * 4), torch.tensor([0] * 4))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_shifts_move_each_picture_by_one_pixel_at_most():
    images = torch.tensor(data.split().train.batch()[:64])
    moved = training.shifted(images, torch.Generator().manual_seed(0))
    assert (moved.shape, moved.dtype) == (images.shape, torch.uint8)
    wide = torch.nn.functional.pad(images, [1] * 4)
    seen = set()
    for before, after in zip(wide, moved, strict=True):
        places = [(y, x) for y in range(3) for x in range(3) if torch.equal(before[:, y : y + 28, x : x + 28], after)]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 9


def test_the_confusion_matrix_counts_digits_by_rows_and_answers_by_columns():
    class Nine(torch.nn.Module):
        def forward(self, image):
            return torch.eye(10)[9].repeat(len(image), 1)

    digits = data.split().held_out.take(range(777))
    evaluation = evaluate(Nine(), torch.nn.Identity(), digits)
    assert evaluation.confusion[:, 9].tolist() == np.bincount(digits.labels).tolist()
    assert evaluation.count == 777
    assert evaluation.right == int((digits.labels == 9).sum())


def test_accuracy_is_the_diagonals_share():
    confusion = np.zeros((10, 10), np.int64)
    confusion[1, 1], confusion[1, 7], confusion[2, 2] = 3, 1, 4
    assert Evaluation(confusion).accuracy == 7 / 8
