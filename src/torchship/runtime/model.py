"""A loaded model: numpy in, numpy out, in the structure of the model that was shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchship.bundle import golden
from torchship.bundle.artifact import Artifact
from torchship.bundle.golden import Golden
from torchship.bundle.manifest import Manifest, Shipped
from torchship.bundle.opening import Bundle
from torchship.errors import UsageError
from torchship.runtime.binding import Binding
from torchship.signature import Signature
from torchship.signature.check import check_names
from torchship.targets import Array, Session


class ShippedModel:
    """Calls may come from several threads at once. ``notes``: which artifacts were passed over, and why."""

    def __init__(self, bundle: Bundle, shipped: Shipped, session: Session, notes: Sequence[str] = ()) -> None:
        self.manifest: Manifest = bundle.manifest
        self.signature: Signature = bundle.manifest.signature
        self.labels: tuple[str, ...] = bundle.manifest.labels
        self.artifact: Artifact = shipped.artifact
        self.notes: list[str] = list(notes)
        self._bundle = bundle
        self._session = session
        self._binding = Binding(self.signature)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as the eager model was called, with arrays for tensors; the result has the eager one's structure.

        Raises:
            InputError: names the argument or input that doesn't fit.
        """
        binding = self._binding
        return binding.result(self._session.run(binding.bind(args, kwargs)))

    def run(self, named: Mapping[str, Any]) -> dict[str, Array]:
        """Answer arrays by the signature's input names with arrays by its output names.

        Raises:
            InputError: names the input that doesn't fit.
        """
        return self.named(self._session.run(self.check(named)))

    def check(self, named: Mapping[str, Any]) -> list[Array]:
        """Give inputs by name as the flat arrays that ``infer`` takes.

        Raises:
            InputError: names the input that is missing, unknown, or doesn't fit.
        """
        check_names(self.signature, named)
        return self._binding.check([named[spec.name] for spec in self.signature.inputs])

    def named(self, answers: Sequence[Array]) -> dict[str, Array]:
        """Give flat answers by the signature's output names."""
        return {spec.name: array for spec, array in zip(self.signature.outputs, answers, strict=True)}

    def infer(self, arrays: Sequence[Array]) -> list[Array]:
        """Answer flat C-contiguous arrays in the signature's order. Nothing is checked: for callers who did."""
        return self._session.run(arrays)

    def samples(self) -> list[Golden]:
        """Read the golden samples that it was proven with: calls whose answers are known."""
        return [golden.read(self._bundle.folder / path, self.signature) for path in self.manifest.golden]

    def close(self) -> None:
        """Give back the runtime's memory and scratch files; the model can't be called any more."""
        self.release()
        self._bundle.close()

    def release(self) -> None:
        """Give back the runtime's memory alone: the bundle is another's, too."""
        self._session.close()
        self._session = _Closed()

    def __enter__(self) -> ShippedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        inputs = ", ".join(f"{s.name}: {s.dtype}{list(s.shape)}" for s in self.signature.inputs)
        return f"<ShippedModel {self.manifest.name} ({self.artifact.name}) {inputs}>"


class _Closed:
    """In the place of a session that was given back."""

    def run(self, _: Sequence[Array]) -> list[Array]:
        raise UsageError("the model was closed", hint="load it again, or ask it before it is closed")

    def close(self) -> None:
        """Closing twice is no mistake."""
