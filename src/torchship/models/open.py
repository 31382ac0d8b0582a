"""From a source to a Model: opens it, puts it into eval mode, names and flattens its call."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchship.errors import UsageError
from torchship.models import draw
from torchship.models.call import bind, call_parameters, named_arguments
from torchship.models.contradictions import check_places
from torchship.models.dynamic import axes_of
from torchship.models.flat import Pipeline, flat_module
from torchship.models.model import Axes, Description, Model
from torchship.models.openers import describe
from torchship.models.source import InputSpec, Source

SEED = 20260101


def open_source(source: Source) -> Model:
    """Open ``source``. A factory's random weights and examples come out the same in every process.

    The fused fast path of nn.MultiheadAttention is off from here on: it answers otherwise at padded positions than the
    plain one, which is what every capture takes.
    """
    torch.backends.mha.set_fastpath_enabled(False)
    seed()
    return prepare(describe(source), source)


def seed() -> None:
    """Put every generator that a factory may draw from to the same start."""
    torch.manual_seed(SEED)
    random.seed(SEED)
    np.random.seed(SEED % 2**32)


def prepare(description: Description, source: Source | None = None) -> Model:
    """Make a Model of a description; ``source`` brings the example inputs where the description has none.

    Raises:
        UsageError: no example inputs, or ones that don't fit ``forward``.
    """
    module, notes = _ready(description)
    args, kwargs, axes = _examples(description, source, module)
    bound = bind(module.entry, args, kwargs)
    parameters, paths = call_parameters(bound)
    names = _input_names(paths, description.input_names)
    declared = axes if axes is not None else axes_of(named_arguments(bound), description.dynamic_shapes)
    examples = tuple(_tensors(named_arguments(bound)))
    check_places(module.model, list(zip(names, examples, strict=True)))
    flat = flat_module(module, bound.args, bound.kwargs, names)
    return Model(
        replace(description, model=module.model), flat, names, examples, tuple(declared), parameters, tuple(notes)
    )


def _ready(description: Description) -> tuple[Pipeline, list[str]]:
    """Unwrap and put into eval mode: a root in training mode is switched, one in eval mode is left as it is."""
    model, notes = description.model, list(description.notes)
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        notes.append(f"unwrapped {type(model).__name__}")
        model = model.module
    if model.training:
        notes.append(f"{type(model).__name__} was in training mode and was put into eval mode")
        model.eval()
    for extra in (description.preprocess, description.postprocess):
        if extra is not None:
            extra.eval()
    model.requires_grad_(False)
    return Pipeline(model, description.preprocess, description.postprocess), notes


def _examples(
    description: Description, source: Source | None, module: Pipeline
) -> tuple[tuple[Any, ...], Mapping[str, Any], list[Axes] | None]:
    """The example call, and the dynamic axes where ``--input`` gives them."""
    if source is not None and source.inputs:
        return (), *_from_specs(source.inputs)
    if source is not None and source.example is not None:
        return (), _from_file(Path(source.example)), None
    if description.args is None and not description.kwargs:
        raise UsageError(
            f"{type(module.model).__name__} comes without example inputs",
            hint="--input NAME:DTYPE[DIM,…], --example FILE.npz, or a source that returns {'model': …, 'args': …}",
        )
    return description.args or (), description.kwargs, None


def _from_specs(specs: tuple[InputSpec, ...]) -> tuple[dict[str, Tensor], list[Axes]]:
    generator = torch.Generator().manual_seed(SEED)
    dims = {dim.name: dim for spec in specs for dim in spec.dims}
    sizes: dict[str, int] = {}
    for place, dim in enumerate(dims.values()):  # sizes that differ from each other: equal ones would hide a mix-up
        wanted = max(2 + 3 * place, dim.min)
        sizes[dim.name] = wanted if dim.max is None else min(wanted, dim.max)
    examples = {spec.name: draw.example(spec, sizes, generator) for spec in specs}
    axes: list[Axes] = [
        {axis: dims[size] for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in specs
    ]
    return examples, axes


def _from_file(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (ValueError, OSError, TypeError) as error:
        raise UsageError(
            f"{path} can't be read as example inputs: {error}", hint="np.savez(path, NAME=array, …)"
        ) from error


def _tensors(value: Any) -> list[Tensor]:
    from torchship.models.flat import result_tree

    return [tensor.detach() for tensor in result_tree(value)[1]]


def _input_names(paths: list[str], given: tuple[str, ...]) -> tuple[str, ...]:
    if given and len(given) != len(paths):
        raise UsageError(f"names gives {len(given)} input names for {len(paths)} tensors ({', '.join(paths)})")
    return given or tuple(paths)
