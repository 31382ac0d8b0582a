"""Whole channels go, with all that depends on them: smaller and quicker in any runtime. By torch-pruning (DepGraph)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from torchship.convert.pruning import WEIGHED, weights_of
from torchship.errors import ConversionError, UnavailableError
from torchship.models.flat import result_tree

_ROUND = 4  # channels stay a multiple of it, as vector instructions want them


def prune(module: nn.Module, call: Callable[[], Any], share: float) -> str:
    """Take ``share`` of each layer's channels away, the ones of least norm over all that depends on them.

    Layers whose outputs are the model's own keep their channels (Fang et al., 2023).

    Raises:
        UnavailableError: torch-pruning isn't installed.
        ConversionError: nothing could be taken away, or the model's outputs would change their shapes.
    """
    try:
        import torch_pruning
    except ImportError as error:
        raise UnavailableError("pruning channels needs torch-pruning", hint="pip install 'torchship[prune]'") from error
    before = sum(weight.numel() for _, weight in weights_of(module))
    with _gradients(module):
        shapes = [tuple(each.shape) for each in result_tree(call())[1]]
        last = _last(module, call)
        pruner = torch_pruning.pruner.BasePruner(
            module, (), torch_pruning.importance.GroupMagnitudeImportance(p=2), pruning_ratio=share,
            ignored_layers=last, round_to=_ROUND, forward_fn=lambda *_: call(), output_transform=_first,
        )  # fmt: skip
        pruner.step()
    after = sum(weight.numel() for _, weight in weights_of(module))
    with torch.no_grad():
        if [tuple(each.shape) for each in result_tree(call())[1]] != shapes:
            raise ConversionError(
                "without these channels the model's outputs have other shapes", hint="--prune unstructured:R keeps them"
            )
    if after >= before:
        raise ConversionError("there is no channel that could be taken away", hint="--prune unstructured:R")
    return f"{before - after:,} of {before:,} weights went, with whole channels"


@contextmanager
def _gradients(module: nn.Module) -> Iterator[None]:
    """torch-pruning follows gradients from output to input, and tells much while it does."""
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.requires_grad_(True)
    logging.disable(logging.WARNING)
    try:
        with torch.enable_grad():
            yield
    finally:
        logging.disable(logging.NOTSET)
        module.requires_grad_(False)
        for parameter, kept in wanted:
            parameter.requires_grad_(kept)


def _last(module: nn.Module, call: Callable[[], Any]) -> list[nn.Module]:
    """The layers from which an output comes without another such layer between."""
    made: dict[Any, nn.Module] = {}

    def remember(layer: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.grad_fn is not None:
            made[output.grad_fn] = layer

    hooks = [each.register_forward_hook(remember) for each in module.modules() if isinstance(each, WEIGHED)]
    try:
        waiting: list[Any] = [each.grad_fn for each in result_tree(call())[1]]
    finally:
        for hook in hooks:
            hook.remove()
    found: list[nn.Module] = []
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in made:
            found.append(made[node])
        else:
            waiting += [following for following, _ in node.next_functions]
    return found


def _first(answer: Any) -> Tensor:
    return sum(each.float().sum() for each in result_tree(answer)[1] if each.requires_grad)  # type: ignore[return-value]
