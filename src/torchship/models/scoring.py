"""The user's own judgement: a callable ``(predict) -> float``, higher is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from torchship.errors import SourceError, UsageError
from torchship.models.openers.python import user_line
from torchship.runtime.binding import Binding
from torchship.signature import Signature
from torchship.targets import Array

Predict = Callable[..., Any]
Judge = Callable[[Predict], float]
Answer = Callable[[Sequence[Array]], list[Array]]


def predictor(signature: Signature, answer: Answer) -> Predict:
    """Give a ``predict`` that is called like the model, with arrays or tensors, and answers in arrays.

    A lone dict of arrays by input name is taken as the named inputs.
    """
    binding = Binding(signature)
    names = [spec.name for spec in signature.inputs]

    def predict(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], Mapping) and set(args[0]) == set(names):
            return binding.result(answer(binding.check([_array(args[0][name]) for name in names])))
        bound = binding.bind(
            tuple(_arrays(each) for each in args), {key: _arrays(each) for key, each in kwargs.items()}
        )
        return binding.result(answer(bound))

    return predict


def score(judge: Judge, predict: Predict) -> float:
    """Ask the user's function.

    Raises:
        SourceError: it raises, or gives no finite number.
    """
    try:
        given = judge(predict)
    except Exception as error:
        raise SourceError(f"evaluate failed: {type(error).__name__}: {error}", where=user_line(error)) from error
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise SourceError(
            f"evaluate gave {given!r}, which is no finite number",
            hint="give a float where higher is better, for example the share of right answers",
        )
    return value


def check_direction(judge: Judge, predict: Predict, right: float) -> None:
    """Raise UsageError where a function gives more for answers turned upside down than for the model's own.

    It is a loss then, of which less is better, and what loses accuracy would seem to win.
    """

    def contrary(*args: Any, **kwargs: Any) -> Any:
        return _negated(predict(*args, **kwargs))

    try:
        wrong = score(judge, contrary)
    except SourceError:
        return  # it can't be asked about such answers
    if wrong > right:
        raise UsageError(
            f"evaluate gives {right:.4g} for the model, and {wrong:.4g} for its answers with their signs turned: it is "
            "a loss, of which less is better",
            hint="give what is better when it is higher: the accuracy, or the loss with a minus before it",
        )


def _negated(value: Any) -> Any:
    return _each(value, lambda leaf: -leaf if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fi" else leaf)


def _arrays(value: Any) -> Any:
    """Tensors of a call as arrays, in whatever containers they come."""
    return _each(value, lambda leaf: _array(leaf) if hasattr(leaf, "__array__") else leaf)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same containers with each leaf changed."""
    if isinstance(value, dict):
        return {key: _each(item, change) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_each(item, change) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_each(item, change) for item in value)
    return change(value)


def _array(value: Any) -> Array:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
