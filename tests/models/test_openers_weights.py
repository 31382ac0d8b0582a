"""Weights and pickled modules as sources: found wherever they are kept, put in bit for bit, or told why not."""

from __future__ import annotations

import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from torchship.errors import MalformedError, SourceError, UnsafeError, UsageError
from torchship.models.model import Description
from torchship.models.openers import describe
from torchship.models.source import parse

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
    def forward(self, x):
        return self.norm(self.layer(x))

class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Net()
    def forward(self, x):
        return self.inner(x)

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.table.weight
    def forward(self, x):
        return self.head(self.table(x))

class Stubborn(Net):
    def __setstate__(self, state):
        raise ValueError("not like this")

def described():
    return {"model": Net().eval(), "args": (torch.zeros(2, 4),), "labels": ["a", "b", "c"]}

def wide():
    return nn.Linear(9, 9)

def leaves():
    raise SystemExit(3)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "weightnets.py"
    path.write_text(NETS)
    return path


@pytest.fixture(scope="module")
def net(nets: Path) -> nn.Module:
    torch.manual_seed(5)
    module = describe(parse(f"{nets}:Net")).model
    module.norm.running_mean.normal_()
    return module.eval()


def opened(path: Path, nets: Path, name: str = "Net", **more: Any) -> Description:
    return describe(parse(str(path), model=f"{nets}:{name}", **more))


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def prefixed(module: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in module.state_dict().items()}


KEPT: dict[str, Any] = {
    "alone": lambda net: net.state_dict(),
    "below state_dict": lambda net: {"state_dict": net.state_dict(), "epoch": 3},
    "below model, then state_dict": lambda net: {"model": {"state_dict": net.state_dict()}},
    "below an unusual key": lambda net: {"weights_of_the_best": dict(net.state_dict()), "loss": 0.5},
    "from DataParallel": lambda net: prefixed(net, "module."),
    "from torch.compile": lambda net: prefixed(net, "_orig_mod."),
    "from both": lambda net: prefixed(net, "module._orig_mod."),
    "of a compiled submodule": lambda net: {
        key.replace("layer.", "layer._orig_mod."): value for key, value in net.state_dict().items()
    },
    "beside an optimizer": lambda net: {
        "optimizer": torch.optim.Adam(net.parameters()).state_dict(), "net": net.state_dict()
    },
}  # fmt: skip


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT.keys())
def test_weights_are_found_wherever_they_are_kept(kept: Any, net: nn.Module, nets: Path, tmp_path: Path) -> None:
    torch.save(kept(net), tmp_path / "w.bin")
    assert same(opened(tmp_path / "w.bin", nets).model, net)


@pytest.mark.parametrize("how", [{"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}])
def test_every_form_of_torchs_files(how: dict[str, Any], net: nn.Module, nets: Path, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "w", **how)
    assert same(opened(tmp_path / "w", nets).model, net)


def test_safetensors_under_any_name(net: nn.Module, nets: Path, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "w.pth")
    assert same(opened(tmp_path / "w.pth", nets).model, net)


def test_a_lightning_checkpoint(net: nn.Module, nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings are of a class of Lightning's, which needn't be here: nobody needs them."""
    space = types.ModuleType("lightning")
    space.AttributeDict = type("AttributeDict", (dict,), {"__module__": space.__name__})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, space.__name__, space)
    state = prefixed(net, "model.") | {"loss.weight": torch.ones(3)}
    settings = space.AttributeDict(lr=0.1)  # type: ignore[attr-defined]
    torch.save({"state_dict": state, "hyper_parameters": settings, "callbacks": {}}, tmp_path / "w.ckpt")
    monkeypatch.delitem(sys.modules, space.__name__)
    found = opened(tmp_path / "w.ckpt", nets)
    assert same(found.model, net)
    assert "took the weights below 'state_dict'" in found.notes
    assert "left out what is not the model's: loss.weight" in found.notes


def test_a_class_beside_the_weights_may_be_allowed(net: nn.Module, nets: Path, tmp_path: Path) -> None:
    stubborn = describe(parse(f"{nets}:Net")).model
    torch.save({"state_dict": net.state_dict(), "teacher": stubborn}, tmp_path / "w.pth")
    with pytest.raises(UnsafeError, match=r"names weightnets\.Net"):
        opened(tmp_path / "w.pth", nets)
    assert same(opened(tmp_path / "w.pth", nets, allow=("weightnets.Net",)).model, net)


def test_an_architecture_that_wraps_what_was_saved(net: nn.Module, nets: Path, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "w.pth")
    assert same(opened(tmp_path / "w.pth", nets, "Wrapped").model.inner, net)


def test_tied_weights_that_were_written_once(nets: Path, tmp_path: Path) -> None:
    table = torch.randn(5, 4)
    save_file({"table.weight": table}, tmp_path / "w.safetensors")
    model = opened(tmp_path / "w.safetensors", nets, "Tied").model
    assert torch.equal(model.head.weight, table)


def test_other_element_types_and_infinities_are_told(net: nn.Module, nets: Path, tmp_path: Path) -> None:
    state = {key: value.bfloat16() if value.is_floating_point() else value for key, value in net.state_dict().items()}
    state["layer.bias"] = torch.tensor([1.0, float("nan"), float("inf")], dtype=torch.bfloat16)
    torch.save(state, tmp_path / "w.pth")
    found = opened(tmp_path / "w.pth", nets)
    assert found.model.layer.weight.dtype == torch.float32
    assert torch.equal(found.model.layer.weight, net.layer.weight.bfloat16().float())
    assert found.notes == (
        "the weights hold NaN or infinities: layer.bias",
        "the model keeps its own element types; the file's were taken: bfloat16 as float32",
    )


def test_a_source_dict_brings_its_arguments_along(net: nn.Module, nets: Path, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "w.pth")
    found = opened(tmp_path / "w.pth", nets, "described")
    assert same(found.model, net)
    assert found.args is not None
    assert found.labels == ("a", "b", "c")


def test_what_does_not_fit_is_named(net: nn.Module, nets: Path, tmp_path: Path) -> None:
    state = dict(net.state_dict())
    state["layer.weight"] = torch.ones(7, 4)
    state["extra.weight"] = state.pop("norm.weight")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(SourceError) as error:
        opened(tmp_path / "w.pth", nets)
    assert error.value.what == (
        f"the weights in {tmp_path / 'w.pth'} don't fit Net: missing: norm.weight; unexpected: extra.weight; "
        "other shapes: layer.weight is [7, 4], the model has [3, 4]"
    )


def test_old_weights_without_their_counter_fit(net: nn.Module, nets: Path, tmp_path: Path) -> None:
    state = {key: value for key, value in net.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "w.pth")
    assert torch.equal(opened(tmp_path / "w.pth", nets).model.layer.weight, net.layer.weight)


def test_bare_weights_say_what_they_are(net: nn.Module, tmp_path: Path) -> None:
    torch.save({"state_dict": net.state_dict()}, tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"weights alone: state_dict.layer.weight float32\[3, 4\], .*") as error:
        describe(parse(str(tmp_path / "w.pth")))
    assert error.value.hint is not None
    assert "--model" in error.value.hint


def test_a_file_without_weights(nets: Path, tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(MalformedError, match="holds a dict, and no weights in it"):
        opened(tmp_path / "w.pth", nets)


@pytest.mark.parametrize(
    ("name", "why"),
    [("wide", "missing: weight, bias"), ("leaves", r"called exit\(3\)"), ("Nett", "has no 'Nett'")],
)
def test_an_architecture_that_is_none(name: str, why: str, net: nn.Module, nets: Path, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "w.pth")
    with pytest.raises((SourceError, UsageError), match=why):
        opened(tmp_path / "w.pth", nets, name)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_module_needs_its_classes_allowed(zipped: bool, nets: Path, tmp_path: Path) -> None:
    made = describe(parse(f"{nets}:Wrapped")).model
    torch.save(made, tmp_path / "m.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeError, match=r"names weightnets\.\w+, weightnets\.\w+") as error:
        describe(parse(str(tmp_path / "m.pth")))
    assert error.value.hint is not None
    assert sorted(error.value.hint.split("--allow ")[1:]) == ["weightnets.Net", "weightnets.Wrapped "]
    found = describe(parse(str(tmp_path / "m.pth"), allow=("weightnets.Net", "weightnets.Wrapped")))
    assert same(found.model, made)


def test_classes_of_a_script_are_looked_up_in_its_file(nets: Path, tmp_path: Path) -> None:
    made = describe(parse(f"{nets}:Net")).model
    main = sys.modules["__main__"]
    kept, type(made).__module__ = type(made).__module__, "__main__"
    main.Net = type(made)  # type: ignore[attr-defined]
    torch.save({"model": made, "epoch": 1}, tmp_path / "m.pt")
    del main.Net  # type: ignore[attr-defined]
    type(made).__module__ = kept
    with pytest.raises(SourceError, match=r"needs __main__\.Net, which isn't here") as error:
        describe(parse(str(tmp_path / "m.pt"), allow=("__main__.Net",)))
    assert error.value.hint == "--model FILE.py:Net says where it is defined"
    found = describe(parse(str(tmp_path / "m.pt"), allow=("__main__.Net",), model=f"{nets}:Net"))
    assert same(found.model, made)


def test_an_allowed_class_that_raises_is_told_with_its_line(nets: Path, tmp_path: Path) -> None:
    torch.save(describe(parse(f"{nets}:Stubborn")).model, tmp_path / "m.pth")
    with pytest.raises(SourceError, match="ValueError: not like this") as error:
        describe(parse(str(tmp_path / "m.pth"), allow=("weightnets.Stubborn",)))
    assert error.value.where == "weightnets.py:31 in __setstate__"


def test_what_is_allowed_and_not_its_packages_own_is_refused(nets: Path, tmp_path: Path) -> None:
    """A module may have borrowed ``os.system`` under a harmless name."""
    space = types.ModuleType("harmless")
    space.Net = __import__("os").system  # type: ignore[attr-defined]
    raw = b"\x80\x02charmless\nNet\n)\x81}b."
    with zipfile.ZipFile(tmp_path / "m.pth", "w") as archive:
        archive.writestr("m/data.pkl", raw)
        archive.writestr("m/version", "3\n")
    sys.modules["harmless"] = space
    try:
        with pytest.raises(UnsafeError, match="is no class nor function of that package"):
            describe(parse(str(tmp_path / "m.pth"), allow=("harmless.Net",)))
    finally:
        del sys.modules["harmless"]


def test_something_else_that_was_pickled(nets: Path, tmp_path: Path) -> None:
    torch.save(describe(parse(f"{nets}:Net")).model.norm, tmp_path / "m.pth")
    assert isinstance(describe(parse(str(tmp_path / "m.pth"))).model, nn.BatchNorm1d)
    with pytest.raises(UnsafeError, match="not a class that a model is made of"):
        describe(parse(str(tmp_path / "m.pth"), allow=("os.system",)))


@pytest.mark.parametrize(
    ("name", "raw", "kind", "why"),
    [
        ("empty.pth", b"", MalformedError, "it is empty"),
        ("cut.pth", b"PK\x03\x04" + bytes(60), MalformedError, "no end record"),
        ("noise.bin", b"no model at all", MalformedError, "in no format that torchship knows"),
        ("a.pkl", b"\x80\x02}.", UnsafeError, "a plain pickle: torch did not write it"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(8), SourceError, "not read yet"),
        ("a.tflite", b"\x1c\0\0\0TFL3" + bytes(8), SourceError, "not read yet"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(8), SourceError, "a picture, not a model"),
    ],
)
def test_files_that_are_no_source(name: str, raw: bytes, kind: type[Exception], why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(kind, match=why):
        describe(parse(str(tmp_path / name)))


def test_folders_and_python_files_that_are_no_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        describe(parse(str(tmp_path)))
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match="is a bundle: it has been shipped already"):
        describe(parse(str(tmp_path)))
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UsageError, match="SavedModel: not read yet"):
        describe(parse(str(tmp_path)))
    (tmp_path / "net.py").write_text("")
    with pytest.raises(UsageError, match="is a Python file"):
        parse(str(tmp_path / "net.py"))
