"""To AOTInductor: code for a class of CPUs, compiled apart from the user's caches, and run under its own checks."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import torchship
from targets.specimens import Specimen, Specimens, hashes_in_a_process
from torchship.bundle.artifact import Settings
from torchship.errors import ConstraintError, UnavailableError
from torchship.measure.host import cpu_flags
from torchship.targets import Needs
from torchship.targets.aoti import cpu
from torchship.targets.aoti.build import BUILDER

_V3 = frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"})


@pytest.fixture(scope="session")
def two_by_two(specimens: Specimens) -> Specimen:
    """The model that is compiled for the quick tests: it takes a quarter of a minute."""
    specimen = specimens("two_by_two")
    specimen.make("aoti", "export")
    return specimen


def test_it_is_right_on_fresh_values_and_sizes(two_by_two: Specimen) -> None:
    assert two_by_two.prove(two_by_two.make("aoti", "export")).right


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "cnn", "encoder", "embedding", "dict_output", "scatter_mean", "batch_statistics", "half", "brain", "double",
        "unused_input", "big_integers", "passing", "spectrum", "styled",
    ],
)  # fmt: skip
def test_each_model_is_right_on_fresh_values_and_sizes(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("aoti", "export")).right


@pytest.mark.slow
def test_a_convolution_takes_batches_beyond_the_examples(specimens: Specimens) -> None:
    """Torch asks of a convolution whether its batch is below 16, and takes the answer for a bound."""
    specimen = specimens("cnn")
    session = specimen.session(specimen.make("aoti", "export"))
    images = np.random.default_rng(1).normal(size=(65, 3, 16, 16)).astype("f4")
    with torch.no_grad():
        expected = specimen.open().flat(torch.from_numpy(images))[0].numpy()
    for size in (1, 15, 16, 17, 65):
        assert np.allclose(session.run([images[:size]])[0], expected[:size], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["branch", "loop"])
def test_branches_and_loops_are_the_graphs(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("aoti", "export")).right


class Exiting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.first(x).softmax(-1)
        if scores.max(-1).values.min().item() > 0.5:
            return scores
        return scores + self.second(x)


@pytest.mark.slow
def test_a_number_that_the_generated_code_loses_is_told_with_its_line(tmp_path: Path) -> None:
    """A fault of Inductor's in torch 2.13: where it is mended, this fails, and the entry in the table may go."""
    with pytest.raises(ConstraintError) as caught:
        torchship.ship(Exiting(), (torch.randn(3, 4),), output=tmp_path / "out", targets="aoti:export")
    row = caught.value.artifacts[0]
    assert row.reason is not None
    assert "loses the number that is made of a tensor's value: `if scores.max" in row.reason
    assert row.op == "aten.item"
    assert row.where == f"test_aoti.py:{Exiting.forward.__code__.co_firstlineno + 2} in forward"


def test_the_contract_tells_the_class_of_cpus(two_by_two: Specimen) -> None:
    artifact = two_by_two.make("aoti", "export").artifact
    goal = cpu.this_goal()
    assert (artifact.host.systems, artifact.host.machines, artifact.host.isa) == (goal.systems, goal.machines, goal.isa)
    assert artifact.host.packages == {"torch": ".".join(torch.__version__.split("+")[0].split(".")[:2])}


@pytest.mark.skipif(not cpu_flags() >= _V3, reason="needs an x86-64-v3 CPU")
def test_the_code_holds_no_wider_vectors_than_the_contract_says(two_by_two: Specimen, tmp_path: Path) -> None:
    """AVX-512's registers are zmm0 to zmm31, its masks k1 to k7."""
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("needs objdump")
    library = _library(two_by_two, tmp_path)
    assert not os.system(f"{objdump} -d {library} > {tmp_path}/code")
    code = (tmp_path / "code").read_text()
    assert "ymm" in code
    assert "zmm" not in code


def test_nothing_of_the_machine_is_in_the_package(two_by_two: Specimen, tmp_path: Path) -> None:
    made = two_by_two.make("aoti", "export")
    with zipfile.ZipFile(made.main) as package:
        assert not [name for name in package.namelist() if name.endswith((".cpp", ".h"))]
    held = _library(two_by_two, tmp_path).read_bytes()
    for word in (tempfile.gettempdir(), str(Path(torch.__file__).parent), str(Path(__file__).parent)):
        assert word.encode() not in held


def test_compiling_leaves_nothing_behind(two_by_two: Specimen) -> None:
    assert not list(Path(tempfile.gettempdir()).glob("torchship-aoti-*"))


def test_loading_leaves_nothing_behind_while_it_runs(
    two_by_two: Specimen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    session = two_by_two.session(two_by_two.make("aoti", "export"))
    assert list(tmp_path.iterdir()) == []
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert session.run(_call(2))[0].shape == (2, 3)
    session.close()


def test_sizes_beyond_the_compiled_range_raise(two_by_two: Specimen) -> None:
    session = two_by_two.session(two_by_two.make("aoti", "export"))
    for a, b in (
        (np.zeros((65, 4), np.float32), np.zeros((2, 5), np.float32)),
        (np.zeros((2, 5), np.float32), np.zeros((2, 5), np.float32)),
        (np.zeros((2, 4), np.float64), np.zeros((2, 5), np.float32)),
    ):
        with pytest.raises(RuntimeError):
            session.run([a, b])


def test_the_number_of_threads_holds_in_every_thread(two_by_two: Specimen) -> None:
    """OpenMP keeps the number for each thread by itself."""
    session = two_by_two.session(two_by_two.make("aoti", "export"), Settings(threads=1))
    found: list[int] = []

    def ask() -> None:
        session.run(_call(2))
        found.append(torch.get_num_threads())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [1]


def test_threads_do_not_mix_their_answers(two_by_two: Specimen) -> None:
    session = two_by_two.session(two_by_two.make("aoti", "export"))
    calls = [_call(n) for n in range(1, 7)]
    alone = [session.run(each)[0] for each in calls]
    same: list[bool] = []

    def ask(place: int) -> None:
        same.extend(np.array_equal(session.run(calls[place])[0], alone[place]) for _ in range(30))

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(same) == 30 * len(calls)
    assert all(same)


@pytest.mark.slow
def test_torchs_own_loader_takes_the_package(two_by_two: Specimen) -> None:
    """What ``extract`` gives: a plain .pt2 for ``aoti_load_package``."""
    import torch._inductor

    made = two_by_two.make("aoti", "export")
    model = torch._inductor.aoti_load_package(str(made.main))
    ours = two_by_two.session(made).run(_call(3))
    theirs = model(*(torch.from_numpy(array) for array in _call(3)))
    assert all(np.array_equal(mine, its.numpy()) for mine, its in zip(ours, theirs, strict=True))


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(two_by_two: Specimen) -> None:
    import hashlib

    main = two_by_two.make("aoti", "export").main
    assert hashes_in_a_process(two_by_two, "aoti", "export") == hashlib.sha256(main.read_bytes()).hexdigest()


def test_a_missing_compiler_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match=r"needs a C\+\+ compiler \(no-such-compiler\)") as caught:
        BUILDER.needs.check("the target aoti")
    assert "apt install g++" in str(caught.value.hint)
    without_torch = Needs(("no_such_module",), "build", compiler=True)
    assert without_torch.missing == ("no_such_module", "a C++ compiler (no-such-compiler)")
    assert without_torch.hint == "pip install 'torchship[build]'"


@pytest.mark.parametrize(
    ("host", "march", "simdlen", "isa"),
    [
        (("Linux", "x86_64", _V3 | {"avx512f"}), "x86-64-v3", 256, tuple(sorted(_V3))),
        (("Linux", "x86_64", frozenset({"sse2"})), "x86-64", 256, ()),
        (("Linux", "aarch64", frozenset({"asimd", "fp"})), "armv8-a", None, ("asimd",)),
        (("Linux", "aarch64", frozenset({"asimd", "sve", "bf16"})), "armv8-a", None, ("asimd", "bf16", "sve")),
        (("Linux", "aarch64", frozenset({"asimd", "sve", "sve2", "bf16"})), "armv8-a", None,
         ("asimd", "bf16", "sve", "sve2")),
        (("Darwin", "aarch64", frozenset()), None, None, ()),
        (("Darwin", "x86_64", frozenset()), "x86-64-v3", 256, ()),
    ],
)  # fmt: skip
def test_the_class_of_cpus_is_chosen_by_the_host(
    host: tuple[str, str, frozenset[str]], march: str | None, simdlen: int | None, isa: tuple[str, ...]
) -> None:
    assert cpu.goal(*host) == cpu.Goal((host[0],), (host[1],), isa, march, simdlen)


def _call(rows: int) -> list[np.ndarray]:
    generator = np.random.default_rng(rows)
    return [generator.normal(size=(rows, 4)).astype("f4"), generator.normal(size=(rows + 1, 5)).astype("f4")]


def _library(specimen: Specimen, folder: Path) -> Path:
    """Unpack the compiled code."""
    with zipfile.ZipFile(specimen.make("aoti", "export").main) as package:
        name = next(each for each in package.namelist() if each.endswith(".so"))
        return Path(package.extract(name, folder))
