"""The manifest, which may come from anybody."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_bundle import make_bundle
from torchship import load
from torchship.bundle import canonical
from torchship.bundle.manifest import Evaluation
from torchship.bundle.reading import read_manifest
from torchship.errors import MalformedError, RefusedError, TamperedError, TorchshipError


def _document(bundle: Path) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode((bundle / "manifest.json").read_bytes())
    del document["digest"]
    return document


def _write(bundle: Path, document: dict[str, Any]) -> None:
    (bundle / "manifest.json").write_bytes(canonical.seal(document))


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = make_bundle(tmp_path / "a" / "net"), make_bundle(tmp_path / "b" / "net")
    for path in ("manifest.json", "measurements.json", "golden/0.safetensors", "artifacts/onnx/model.onnx"):
        assert (one / path).read_bytes() == (other / path).read_bytes()


def test_it_is_readable_and_sorted(pristine: Path) -> None:
    text = (pristine / "manifest.json").read_text()
    keys = [line.split('"')[1] for line in text.splitlines() if line.startswith('  "')]
    assert keys == sorted(keys)
    assert {"digest", "files", "schema", "shipped", "signature"} <= set(keys)
    assert "2030" not in text  # no times


def test_a_newer_schema_is_refused_with_the_version_that_reads_it(bundle: Path) -> None:
    _write(bundle, _document(bundle) | {"schema": 2, "readable_by": "3.4", "something": "new"})
    with pytest.raises(MalformedError) as caught:
        load(bundle)
    assert caught.value.what == "the bundle is of schema 2, this torchship reads up to 1"
    assert caught.value.hint == "pip install --upgrade 'torchship>=3.4'"


def test_a_newer_schema_gives_no_foreign_text_into_a_command(bundle: Path) -> None:
    _write(bundle, _document(bundle) | {"schema": 2, "readable_by": "1'; rm -rf /; '"})
    with pytest.raises(MalformedError) as caught:
        load(bundle)
    assert caught.value.hint == "pip install --upgrade 'torchship'"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'{"schema": NaN}', "not valid JSON"),
        (b'{"schema": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
        (b'{"schema": "1"}', "names no schema"),
        (b'{"schema": true}', "names no schema"),
        (b"\xff\xfe{}", "not valid JSON"),
    ],
)
def test_what_is_no_manifest_is_refused(bundle: Path, raw: bytes, why: str) -> None:
    (bundle / "manifest.json").write_bytes(raw)
    with pytest.raises(MalformedError, match=why):
        read_manifest(bundle)


def test_a_key_that_stands_twice_is_refused(bundle: Path) -> None:
    raw = (bundle / "manifest.json").read_bytes()
    twice = raw.replace(b'"name": "net"', b'"name": "other",\n  "name": "net"', 1)
    assert twice != raw
    (bundle / "manifest.json").write_bytes(twice)
    with pytest.raises(TamperedError, match="was changed after it was written"):
        read_manifest(bundle)


def test_another_form_of_the_same_facts_is_refused(bundle: Path) -> None:
    raw = (bundle / "manifest.json").read_bytes()
    (bundle / "manifest.json").write_bytes(msgspec.json.format(raw, indent=0))
    with pytest.raises(TamperedError):
        read_manifest(bundle)


_PATHS = ["../x", "/etc/passwd", "a/../b", "a\\b", "C:/x", "a//b", "./a", "a/", "", "a\0b", ".."]


@pytest.mark.parametrize("path", _PATHS)
def test_a_path_that_leaves_the_bundle_is_refused(bundle: Path, path: str) -> None:
    document = _document(bundle)
    document["files"][0]["path"] = path
    _write(bundle, document)
    with pytest.raises(MalformedError, match="leaves the bundle, or is no plain POSIX path"):
        read_manifest(bundle)


def _set(document: dict[str, Any], place: str, value: Any) -> None:
    *above, last = place.split("/")
    for key in above:
        document = document[int(key) if key.isdigit() else key]  # type: ignore[index]
    document[int(last) if last.isdigit() else last] = value  # type: ignore[index]


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("chosen", "other", "the chosen one is not there"),
        ("files/0/size", -1, "hashes for -1 bytes"),
        ("files/0/chunks", [], "0 hashes for"),
        ("files/0/path", "manifest.json", "can't be among the hashed files"),
        ("golden/0", "golden/7.safetensors", "is none of the files"),
        ("shipped/0/artifact/name", "../onnx", "can't be an artifact's name"),
        ("shipped/0/artifact/main", "other.onnx", "has no file 'other.onnx'"),
        ("shipped/0/artifact/main", "../../x", "leaves the bundle"),
        ("shipped/0/artifact/inputs", [], "other inputs or outputs"),
        ("shipped/0/artifact/settings/threads", -1, "negative"),
        ("signature/inputs/0/dtype", "object", "unknown element type"),
        ("signature/inputs/0/shape", [-1], "negative size"),
        ("signature/result/index", 5, "structure doesn't fit"),
        ("signature/call", [], "structure doesn't fit"),
        ("schema", 0, "names no schema"),
        ("labels", "abc", "not what it should be"),
        ("unknown", 1, "unknown field"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(bundle: Path, place: str, value: Any, why: str) -> None:
    document = _document(bundle)
    _set(document, place, value)
    _write(bundle, document)
    with pytest.raises(MalformedError, match=why):
        read_manifest(bundle)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_number_that_json_does_not_have_is_not_written_as_another(tmp_path: Path, number: float) -> None:
    with pytest.raises(TorchshipError, match="is no finite number"):
        make_bundle(tmp_path / "net", evaluation=Evaluation(1, number))
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_stands_where_it_is_refused_or_read(
    pristine: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """No other exception than ours, whatever a sealed manifest says."""
    document = _document(pristine)
    node: Any = document
    for _ in range(data.draw(st.integers(0, 4))):
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        inner = [key for key in keys if isinstance(node[key], (dict, list)) and node[key]]
        if not inner:
            break
        node = node[data.draw(st.sampled_from(inner))]
    key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
    node[key] = data.draw(_JSON)
    folder = tmp_path_factory.mktemp("sealed")
    _write(folder, document)
    with contextlib.suppress(RefusedError):
        read_manifest(folder)


@settings(max_examples=200, deadline=None)
@given(_JSON)
def test_the_seal_fits_whatever_was_sealed(value: Any) -> None:
    raw = canonical.seal({"value": value})
    document = canonical.parse(raw, "x.json")
    assert canonical.unseal(raw, document, "x.json") == {"value": value}
