"""A Model with weights taken away: opened anew, pruned, and trained a little where there is data for it."""

from __future__ import annotations

from typing import Any

from torchship.convert.finetune import finetune
from torchship.convert.pruning import method_of
from torchship.errors import ConversionError, TorchshipError, UsageError
from torchship.models.evaluation import LabelledData, evaluation_data
from torchship.models.model import Model
from torchship.models.open import open_source
from torchship.models.source import Source

_MASKED = ("unstructured", "pattern")  # methods that leave zeros, which training must leave


def pruned(source: Source, method: str, share: float, train: Any) -> tuple[Model, str]:
    """Give the pruned model, in eval mode, and say what was done; ``train``: labelled data (None: the source's own).

    Raises:
        ConversionError: there is nothing to prune, or this model can't be pruned in this way.
        UsageError: the training data doesn't fit.
    """
    model = open_source(source)
    given = model.description.train if train is None else train
    data = None if given is None else _labelled(model, given)
    module = model.description.model
    try:
        told = method_of(method)(module, lambda: model.flat.call(model.examples), share)
    except TorchshipError:
        raise
    except Exception as error:
        raise ConversionError(
            f"{type(module).__name__} can't be pruned ({method}): {type(error).__name__}: {error}",
            hint="--prune unstructured:R leaves the layers' shapes as they are",
        ) from error
    module.eval()
    module.requires_grad_(False)
    if data is not None:
        told += f"; {finetune(model, open_source(source), data, method in _MASKED)}"
    return model, told


def _labelled(model: Model, given: Any) -> LabelledData:
    data = evaluation_data(model, given)
    if not isinstance(data, LabelledData):
        raise UsageError(
            "the training data is a function", hint="an .npz with an array per input and labels, or labelled examples"
        )
    return data
