"""``torchship.ship``: the same way for a model that is alive in the user's own process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from torchship.bundle.opening import Bundle, open_bundle
from torchship.bundle.publish import Staging
from torchship.convert import handover
from torchship.measure.choose import Constraints
from torchship.models.borrow import borrowed
from torchship.models.described import described
from torchship.models.model import Model
from torchship.models.open import prepare
from torchship.models.recorder import Recorder
from torchship.models.source import parse
from torchship.pipeline.accuracy import LiveScorer
from torchship.pipeline.attempt import Maker
from torchship.pipeline.evidence import FOLDER, Evidence
from torchship.pipeline.options import ShipOptions, preference_option, quantize_option
from torchship.pipeline.plan import forms_of, plan
from torchship.pipeline.ship import finish, refusing_all, ship_source
from torchship.pipeline.store import Store
from torchship.pipeline.workshop import Tell, Workshop, silent
from torchship.worker.protocol import Handover


def ship(  # noqa: PLR0913 - the public call: each is a thing the user may want to say
    model: nn.Module | str,
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    *,
    output: str | os.PathLike[str] = "out",
    targets: str = "server",
    preprocess: nn.Module | None = None,
    postprocess: nn.Module | None = None,
    labels: Sequence[str] = (),
    fresh: Any = None,
    calibration: Any = None,
    evaluate: Any = None,
    names: Mapping[str, Sequence[str]] | None = None,
    max_drop: float = 0.0,
    max_latency_ms: float | None = None,
    max_size_mb: float | None = None,
    quantize: str = "none",
    prefer: str = "latency",
    timeout: float = 600.0,
    jobs: int = 2,
    tell: Tell = silent,
) -> Bundle:
    """Ship a live module (or a SOURCE as on the command line) and give the bundle.

    ``args`` and ``kwargs`` are an example call, ``dynamic_shapes`` are torch.export's; ``fresh``, ``evaluate``,
    ``names`` and the rest are those of the source dict. The module is given back as it was. Timings want a quiet
    process: run it where nothing else computes.

    Raises:
        TorchshipError: see ``torchship.errors``; nothing was written then, and an older bundle is still there.
    """
    wanted = Constraints(max_drop, max_latency_ms, max_size_mb, preference_option(prefer))
    options = ShipOptions(Path(output), targets, None, wanted, timeout, jobs, quantize_option(quantize))
    if isinstance(model, str):
        ship_source(parse(model), options, tell)
        return open_bundle(Path(output))
    parts = {
        "model": model, "args": args, "kwargs": kwargs, "dynamic_shapes": dynamic_shapes, "preprocess": preprocess,
        "postprocess": postprocess, "labels": labels, "fresh": fresh, "calibration": calibration,
        "evaluate": evaluate, "names": names,
    }  # fmt: skip
    _ship_live(parts, options, tell)
    return open_bundle(Path(output))


def _ship_live(parts: dict[str, Any], options: ShipOptions, tell: Tell) -> None:
    plans = plan(options.targets)
    description = described(parts, type(parts["model"]).__name__)
    with (
        Staging(options.output) as staging,
        Workshop(tell, options.timeout) as workshop,
        Store(workshop.root / "work") as store,
        borrowed(description.model, description.preprocess, description.postprocess),
    ):
        with refusing_all(plans):
            evidence = _observe(workshop, store, prepare(description), parts)
        forms = workshop.folder("forms")
        handover.write(prepare(description), forms_of(plans), evidence.reference.signature, forms)
        scorer = LiveScorer(evidence, parts["evaluate"], options.timeout)
        finish(workshop, staging, Maker(workshop, Handover(str(forms)), evidence, scorer), plans, options)


def _observe(workshop: Workshop, store: Store, model: Model, parts: dict[str, Any]) -> Evidence:
    """Run the model here; the recorder leaves it in float64, so it gets its own weights back before the capture."""
    workshop.tell("model", "running it")
    folder = store.fresh_folder(FOLDER)
    with borrowed(parts["model"], parts["preprocess"], parts["postprocess"]):
        reference = Recorder(model, folder).record(type(parts["model"]).__name__)
    for note in reference.notes:
        workshop.tell("note", note)
    return Evidence(reference, store)
