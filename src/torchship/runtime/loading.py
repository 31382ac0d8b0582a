"""``load``: from a bundle's path to a model that answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from torchship.bundle.artifact import Artifact, Settings
from torchship.bundle.manifest import Shipped
from torchship.bundle.opening import Bundle, open_bundle
from torchship.bundle.trust import check_trust
from torchship.errors import RefusedError, TorchshipError, UnavailableError, UsageError
from torchship.measure import tuned
from torchship.measure.cores import cores
from torchship.measure.host import misfit
from torchship.runtime.bare import is_bare_onnx, load_onnx
from torchship.runtime.model import ShippedModel
from torchship.runtime.selftest import self_test as run_self_test
from torchship.targets import Session
from torchship.targets.adapter import open_session

_log = logging.getLogger("torchship")


def load(  # noqa: PLR0913 - the public call: each is a thing the user may want to say
    path: str | os.PathLike[str],
    *,
    artifact: str | None = None,
    target: str | None = None,
    trusted_keys: Sequence[str | os.PathLike[str]] | None = None,
    threads: int | None = None,
    self_test: bool = True,
    avoid: Sequence[str] = (),
    tune: bool = False,
) -> ShippedModel:
    """Load a bundle: check every file, open the best artifact for this host, run its golden samples.

    Args:
        path: a bundle's folder or ``.ship`` file; or a bare ``.onnx`` file, of which nothing was proven.
        artifact: this artifact and no other.
        target: the best artifact of this target, and no other's.
        trusted_keys: public keys, one of which must have signed the bundle.
        threads: intra-op threads, in place of the number that was measured best.
        self_test: run the golden samples through the artifact before it is trusted.
        tune: find the best number of threads, some seconds long, unless that was found on this host before.
        avoid: packages (``torch``); artifacts that need one of them are tried after all others.

    Raises:
        UsageError: no bundle there, or no such artifact or target in it.
        TamperedError: a file is missing, added, changed, or no plain file; or no trusted key signed it.
        MalformedError: not a bundle, or of a newer schema.
        UnavailableError: none of its artifacts can run on this host; says why of each.
    """
    check_trust(path, trusted_keys)
    if is_bare_onnx(Path(path)):
        if artifact not in (None, "onnx") or target not in (None, "onnx"):
            raise UsageError(f"{path} is a bare ONNX file, it has no artifact for {artifact or target}")
        return load_onnx(Path(path), threads)
    wanted = _Wanted(None, threads, self_test, tune)
    while True:
        bundle = open_bundle(path)
        try:
            shipped = candidates(bundle, artifact, target)
            model = _best(bundle, shipped, avoid, wanted._replace(record=tuned.read(bundle.folder)))
        except BaseException as error:
            bundle.close()
            if bundle.replaced and isinstance(error, Exception):
                continue
            raise
        if not bundle.replaced:
            return model
        model.close()  # another bundle took its place between the check of the files and their opening


def _best(bundle: Bundle, shipped: list[Shipped], avoid: Sequence[str], wanted: _Wanted) -> ShippedModel:
    """The first that runs here, in the order in which they were shipped, or in which tuning found them."""
    if wanted.record is not None and bundle.manifest.preference == "latency":
        shipped = sorted(shipped, key=wanted.record.order)
    shipped = sorted(shipped, key=lambda one: any(package in one.artifact.host.packages for package in avoid))
    model = _first(bundle, shipped, wanted)
    if wanted.tune and wanted.threads is None and model.artifact.name not in wanted.known and bundle.manifest.golden:
        return _retuned(bundle, model, wanted)
    return model


class _Wanted(NamedTuple):
    """How to open an artifact. ``record``: what tuning found here; ``threads`` in place of its number of them."""

    record: tuned.Record | None
    threads: int | None
    test: bool
    tune: bool

    @property
    def known(self) -> set[str]:
        """The artifacts that were tuned here."""
        return {each.artifact for each in self.record.entries} if self.record is not None else set()

    def settings(self, artifact: Artifact) -> Settings:
        """Those that were found quickest here, else those that it was shipped with, with no more threads than cores."""
        entry = self.record.find(artifact.name) if self.record is not None else None
        settings = entry.settings if entry is not None else artifact.settings
        threads = settings.threads if self.threads is None else self.threads
        if self.threads is None and entry is None and threads > 1:
            threads = min(threads, cores())
        return msgspec.structs.replace(settings, threads=threads)


def _retuned(bundle: Bundle, model: ShippedModel, wanted: _Wanted) -> ShippedModel:
    """The same artifact with the settings that are quickest here."""
    from torchship.runtime.quick import tune_quickly

    shipped = bundle.manifest.find(model.artifact.name)
    assert shipped is not None
    record = tune_quickly(bundle, shipped)
    again = ShippedModel(bundle, shipped, _open(bundle, shipped, wanted._replace(record=record)), model.notes)
    model.release()
    return again


def _first(bundle: Bundle, shipped: list[Shipped], wanted: _Wanted) -> ShippedModel:
    """Open the first of ``shipped`` that runs, and runs right, on this host."""
    notes: list[str] = []
    for one in shipped:
        try:
            session = _open(bundle, one, wanted)
        except RefusedError:
            raise  # an artifact that reaches out of its folder: nothing else in the bundle is to be trusted either
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises, the next artifact may do
            notes.append(f"passed over {one.artifact.name}: {_reason(error)}")
            _log.info("%s", notes[-1])
            continue
        return ShippedModel(bundle, one, session, notes)
    raise UnavailableError("no artifact of the bundle can run here", where=str(bundle.folder), hint="; ".join(notes))


def candidates(bundle: Bundle, artifact: str | None, target: str | None) -> list[Shipped]:
    """Give the artifacts to try, best first.

    Raises:
        UsageError: names what there is.
    """
    shipped = [one for one in bundle.manifest.shipped if one.status == "ok"]
    if artifact is not None:
        shipped = [one for one in bundle.manifest.shipped if one.artifact.name == artifact]
    elif target is not None:
        shipped = [one for one in shipped if one.artifact.target == target]
    if not shipped:
        there = ", ".join(one.artifact.name for one in bundle.manifest.shipped) or "none"
        raise UsageError(f"the bundle has no artifact for {artifact or target or 'a server'}", hint=f"it has: {there}")
    return shipped


def _open(bundle: Bundle, shipped: Shipped, wanted: _Wanted) -> Session:
    if why := misfit(shipped.artifact.host):
        raise UnavailableError(why)
    folder = bundle.artifact_folder(shipped.artifact.name)
    session = open_session(shipped.artifact, folder, bundle.manifest.signature, wanted.settings(shipped.artifact))
    if wanted.test:
        try:
            run_self_test(bundle, shipped, session)
        except BaseException:
            session.close()
            raise
    return session


def _reason(error: Exception) -> str:
    if isinstance(error, TorchshipError):
        return f"{error.what} ({error.hint})" if error.hint else error.what
    return f"{type(error).__name__}: {error}"
