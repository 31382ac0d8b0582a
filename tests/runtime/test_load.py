"""What ``load`` picks, what it passes over, and what it says of it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_bundle import WEIGHTS, artifact, images, make_bundle, save, scores, write_onnx
from torchship import load
from torchship.bundle.artifact import Adapter, HostContract, Settings, Verdict
from torchship.bundle.golden import Golden
from torchship.bundle.manifest import Shipped
from torchship.errors import UnavailableError, UnsafeError, UsageError
from torchship.runtime import ShippedModel
from torchship.signature import Dim, Leaf, Parameter, Sequence, Signature, TensorSpec

Write = Callable[[Path], None]


def _right(folder: Path) -> None:
    write_onnx(folder / "model.onnx")


def _wrong(folder: Path) -> None:
    write_onnx(folder / "model.onnx", WEIGHTS + 1)


def _damaged(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"\x08\x09no model")


def test_it_answers_as_the_model_did(model: ShippedModel) -> None:
    image = images(5, seed=1)
    answer = model(image)
    assert answer.tolist() == scores(image).tolist()
    assert (answer.dtype, answer.shape) == (np.float32, (5, 3))
    assert model(image=image).tolist() == answer.tolist()
    assert model.run({"image": image})["scores"].tolist() == answer.tolist()
    assert model.infer([image])[0].tolist() == answer.tolist()
    assert (model.artifact.name, model.labels, model.notes) == ("onnx", ("ant", "bee", "cat"), [])
    assert repr(model) == "<ShippedModel net (onnx) image: uint8['batch', 1, 4, 6]>"


def test_it_answers_from_several_threads_at_once(model: ShippedModel) -> None:
    answers: dict[int, Any] = {}

    def ask(seed: int) -> None:
        answers[seed] = [model(images(1 + seed % 3, seed)).tolist() for _ in range(30)]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers[seed] == [scores(images(1 + seed % 3, seed)).tolist()] * 30 for seed in range(6))


@pytest.mark.parametrize(
    ("first", "write", "why"),
    [
        (artifact("best"), _wrong, r"its answer to golden/0.safetensors is wrong on this host: scores is off by"),
        (artifact("best"), _damaged, r"best: "),
        (artifact("best", host=HostContract(isa=("avx1024",))), _right, "it needs a CPU with avx1024"),
        (artifact("best", host=HostContract(systems=("Plan 9",))), _right, "it runs on Plan 9, this is "),
        (artifact("best", host=HostContract(packages={"numpy": ">=99"})), _right, "it needs numpy >=99, here is "),
        (artifact("best", target="unheard-of"), _right, "unknown target 'unheard-of'"),
        (artifact("best", settings=Settings(1, {"x": 1})), _right, "ONNX Runtime has no option 'x' here"),
    ],
)
def test_it_falls_to_the_next_best_and_says_so(tmp_path: Path, first: Any, write: Write, why: str) -> None:
    bundle = make_bundle(tmp_path / "net", [(first, write), (artifact("next"), _right)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(bundle)
    assert model.artifact.name == "next"
    assert model(images(2)).tolist() == scores(images(2)).tolist()
    assert len(model.notes) == 1
    assert model.notes[0].startswith("passed over best: ")
    with pytest.raises(UnavailableError, match=why):
        load(bundle, artifact="best")


def test_where_none_runs_it_says_why_of_each(tmp_path: Path) -> None:
    wrong = artifact("other", host=HostContract(machines=("pdp11",)))
    bundle = make_bundle(tmp_path / "net", [(artifact("best"), _wrong), (wrong, _right)])
    with pytest.raises(UnavailableError, match="no artifact of the bundle can run here") as caught:
        load(bundle)
    assert "passed over best: its answer to golden" in str(caught.value)
    assert "passed over other: it was made for pdp11" in str(caught.value)


def test_self_test_can_be_left_out(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "net", [(artifact("best"), _wrong)])
    assert load(bundle, self_test=False)(images(1)).tolist() == (scores(images(1)) + images(1).sum()).tolist()


def test_what_is_asked_for_by_name_is_taken_and_no_other(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "net", [(artifact("a"), _right), (artifact("b"), _right)])
    assert load(bundle).artifact.name == "a"
    assert load(bundle, artifact="b").artifact.name == "b"
    assert load(bundle, target="onnx").artifact.name == "a"
    with pytest.raises(UsageError, match="no artifact for c") as caught:
        load(bundle, artifact="c")
    assert caught.value.hint == "it has: a, b"
    with pytest.raises(UsageError, match="no artifact for openvino"):
        load(bundle, target="openvino")


def test_unverified_artifacts_are_taken_only_by_name(tmp_path: Path) -> None:
    unverified = Shipped(artifact(), Verdict(True, 0.0, 1.0, (1e-3,)), 1, "unverified")
    bundle = make_bundle(tmp_path / "net", shipped=(unverified,))
    with pytest.raises(UsageError, match="no artifact for a server"):
        load(bundle)
    assert load(bundle, artifact="onnx")(images(1)).shape == (1, 3)


def test_a_trusted_key_is_never_passed_over_in_silence(pristine: Path) -> None:
    with pytest.raises(UnavailableError, match="can't check signatures yet"):
        load(pristine, trusted_keys=["a.pub"])
    with pytest.raises(UnavailableError, match="can't check signatures yet"):
        load(pristine, trusted_keys=[])


def test_an_artifact_that_reaches_out_of_its_folder_refuses_the_bundle(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        write_onnx(folder / "model.onnx")
        import onnx

        model = onnx.load(folder / "model.onnx")
        weights = model.graph.initializer[0]
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="../../golden/0.safetensors")
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    bundle = make_bundle(tmp_path / "net", [(artifact("best"), write), (artifact("next"), _right)])
    with pytest.raises(UnsafeError, match="which leaves the model's folder"):
        load(bundle)


def test_threads_are_as_asked_for(pristine: Path) -> None:
    assert load(pristine, threads=2)(images(1)).tolist() == scores(images(1)).tolist()
    assert load(pristine, threads=0)(images(1)).tolist() == scores(images(1)).tolist()


def test_a_host_adapter_is_put_around_a_narrower_runtime(tmp_path: Path) -> None:
    """The artifact takes float32 and a batch of 4; the signature's uint8 and any batch stay as they are."""
    from onnx import helper

    def write(folder: Path) -> None:
        nodes = [helper.make_node("Flatten", ["x"], ["rows"]), helper.make_node("MatMul", ["rows", "w"], ["y"])]
        save(folder / "model.onnx", nodes, {"x": ("float32", (4, 1, 4, 6))}, {"y": ("float32", (4, 3))}, {"w": WEIGHTS})

    narrow = artifact(inputs=("x",), outputs=("y",), adapter=Adapter(batch=4, casts={"image": "float32"}))
    model = load(make_bundle(tmp_path / "net", [(narrow, write)]))
    for count in (1, 4, 5, 11):
        assert model(images(count)).tolist() == scores(images(count)).tolist()


def test_golden_samples_with_nan_and_whole_numbers_are_compared(tmp_path: Path) -> None:
    """``log`` of a negative number is NaN in the golden sample and here; counts must be equal."""
    from onnx import TensorProto, helper

    signature = Signature(
        (TensorSpec("x", "float32", ("batch",)),),
        (TensorSpec("log", "float32", ("batch",)), TensorSpec("whole", "int64", ("batch",))),
        (Dim("batch"),), (Parameter("x", Leaf(0)),), Sequence("tuple", (Leaf(0), Leaf(1))),
    )  # fmt: skip
    x = np.array([1.0, -1.0, 3.7], np.float32)

    def write(folder: Path) -> None:
        nodes = [
            helper.make_node("Log", ["x"], ["log"]),
            helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
        ]
        outputs = {"log": ("float32", ("batch",)), "whole": ("int64", ("batch",))}
        save(folder / "model.onnx", nodes, {"x": ("float32", ("batch",))}, outputs)

    made = [(artifact(inputs=("x",), outputs=("log", "whole")), write)]
    log = np.array([0.0, np.nan, np.log(3.7)], np.float32)
    golden = Golden((x,), (log, np.array([1, -1, 3])))
    answer = load(make_bundle(tmp_path / "good", made, signature=signature, golden=golden, labels=()))(x)
    assert np.isnan(answer[0]).tolist() == [False, True, False]
    assert answer[1].tolist() == [1, -1, 3]
    off = Golden((x,), (log, np.array([1, -1, 4])))
    bad = make_bundle(tmp_path / "bad", made, signature=signature, golden=off, labels=())
    with pytest.raises(UnavailableError, match="whole differs"):
        load(bad)
    marks = (np.array([False, True, False]), np.array([False, False, True]))
    decided_by_rounding = Golden((x,), (np.nan_to_num(log, nan=7.0), np.array([1, -1, 4])), marks)
    path = make_bundle(tmp_path / "undecided", made, signature=signature, golden=decided_by_rounding, labels=())
    assert load(path)(x)[1].tolist() == [1, -1, 3]
    finite = Golden((x,), (np.nan_to_num(log), np.array([1, -1, 3])))
    bad = make_bundle(tmp_path / "finite", made, signature=signature, golden=finite, labels=())
    with pytest.raises(UnavailableError, match="log is off by nan"):
        load(bad)


def test_close_gives_the_session_back(pristine: Path) -> None:
    with load(pristine) as model:
        assert model(images(1)).shape == (1, 3)
    model.close()
    with pytest.raises(UsageError, match="the model was closed"):
        model(images(1))
