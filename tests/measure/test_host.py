"""The host, and whether an artifact's contract fits it."""

from __future__ import annotations

import platform
import sys

import pytest

from torchship.bundle.artifact import HostContract
from torchship.measure.cores import cores
from torchship.measure.host import cpu_flags, has_cuda, machine, misfit, this_host
from torchship.measure.versions import fits, installed


def test_it_describes_this_machine() -> None:
    host = this_host()
    assert (host.system, host.python) == (platform.system(), platform.python_version())
    assert host.cores == cores() >= 1
    assert host.memory_mb > 100
    assert host.cpu
    assert host.versions["numpy"] == installed("numpy")
    if sys.platform == "linux" and host.machine == "x86_64":
        assert {"fpu", "sse2"} <= set(host.flags)


def test_an_empty_contract_fits_everywhere() -> None:
    assert misfit(HostContract()) is None


def test_what_is_here_fits() -> None:
    contract = HostContract(
        systems=("Darwin", platform.system()),
        machines=("amd64", "arm64"),
        isa=tuple(sorted(cpu_flags())[:2]),
        packages={"numpy": ">=1.26", "a-package-that-is-not-here": ">=1"},
    )
    assert machine() in ("x86_64", "aarch64")
    assert misfit(contract) is None


@pytest.mark.parametrize(
    ("contract", "why"),
    [
        (HostContract(systems=("Windows",)), f"it runs on Windows, this is {platform.system()}"),
        (HostContract(machines=("riscv64", "pdp11")), "it was made for riscv64, pdp11, this machine is"),
        (HostContract(isa=("zz1", "aa1")), "it needs a CPU with aa1, zz1"),
        (HostContract(packages={"numpy": ">=1.26,<2,>=99"}), "it needs numpy >=1.26,<2,>=99, here is"),
    ],
)
def test_what_does_not_fit_is_said(contract: HostContract, why: str) -> None:
    assert (misfit(contract) or "").startswith(why)


def test_a_gpu_is_needed_only_where_there_is_none() -> None:
    assert (misfit(HostContract(device="cuda")) is None) == has_cuda()


@pytest.mark.parametrize(
    ("version", "specifier", "expected"),
    [
        ("2.13.0+cpu", ">=2.13", True), ("2.13.0+cpu", ">2.13", False), ("2.13.1", ">2.13", True),
        ("2.9.0", ">=2.10", False), ("2.10", ">=2.9,<3", True), ("3.0", ">=2.9,<3", False), ("2.13.0", "2.13", True),
        ("2.13.5", "2.13", True), ("2.130", "2.13", False), ("1.0", "==1", True), ("1.0.1", "==1.0", False),
        ("1.1", "!=1.1", False), ("1.2", "<=1.2.0", True), ("2.0.0rc1", ">=2", True), ("2.0", " >= 1.5 , < 2.1", True),
        ("2.0", "~=2.0", False), ("2.0", "", False), ("unknown", ">=1", False),
    ],
)  # fmt: skip
def test_versions(version: str, specifier: str, expected: bool) -> None:
    assert fits(version, specifier) is expected
