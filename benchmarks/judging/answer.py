"""Child process: opens artifacts of a bundle as a user would, and answers calls.

Run as ``python answer.py BUNDLE CALLS FOLDER with|without ARTIFACT…``; ``without``: torch can't be imported. Each
artifact's answers are written to ``FOLDER/ARTIFACT.pickle``.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np
from nest import callable_form, plain


class _Missing(MetaPathFinder):
    def find_spec(self, name: str, _path: Any, _target: Any = None) -> None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r} (hidden)", name=name)


def main() -> None:
    """Write what the artifacts answered, or what they raised, call by call."""
    bundle, calls, folder, torch, *artifacts = sys.argv[1:]
    if torch == "without":
        sys.meta_path.insert(0, _Missing())
    warnings.simplefilter("ignore")
    given = pickle.loads(Path(calls).read_bytes())["calls"]
    for artifact in artifacts:
        (Path(folder) / f"{artifact}.pickle").write_bytes(pickle.dumps(_answers(bundle, artifact, given)))


def _answers(bundle: str, artifact: str, calls: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    import torchship

    try:
        with torchship.load(bundle, artifact=artifact) as model:
            return [_answer(model, call) for call in calls]
    except Exception as error:  # noqa: BLE001 - what it raises is what is judged
        return [("unopened", f"{type(error).__name__}: {error}"[:500])]


def _answer(model: Any, call: dict[str, Any]) -> tuple[str, Any]:
    try:
        result = model(*callable_form(call["args"]), **callable_form(call["kwargs"]))
    except Exception as error:  # noqa: BLE001 - likewise
        return "raised", f"{type(error).__name__}: {error}"[:500]
    return "answer", plain(result, _copied)


def _copied(value: Any) -> Any:
    return np.array(value) if isinstance(value, (np.ndarray, np.generic)) else value


if __name__ == "__main__":
    main()
