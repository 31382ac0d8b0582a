"""The host: what it is, and whether an artifact's contract fits it."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path

import msgspec

from torchship.bundle.artifact import HostContract
from torchship.measure.cores import cores
from torchship.measure.memory import available_mb
from torchship.measure.versions import fits, installed

_PACKAGES = ("torchship", "numpy", "onnxruntime", "torch", "onnx", "onnxscript", "openvino", "granian", "safetensors")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Host(msgspec.Struct, frozen=True):
    """``cpu``: its model name; ``flags``: its features as Linux names them; ``versions``: of what is installed here."""

    system: str
    machine: str
    cpu: str
    flags: tuple[str, ...]
    cores: int
    memory_mb: int
    python: str
    cuda: bool
    versions: dict[str, str]


def this_host() -> Host:
    """Describe the machine as this process may use it."""
    found = {package: installed(package) for package in _PACKAGES}
    return Host(
        system=platform.system(),
        machine=machine(),
        cpu=cpu_name(),
        flags=tuple(sorted(cpu_flags())),
        cores=cores(),
        memory_mb=int(available_mb()),
        python=platform.python_version(),
        cuda=has_cuda(),
        versions={package: version for package, version in found.items() if version is not None},
    )


def misfit(contract: HostContract) -> str | None:
    """Say in one sentence why an artifact can't run here; None where nothing in its contract speaks against it.

    A package that is missing altogether is not looked at here: its target's ``needs`` names the line that brings it.
    """
    if contract.systems and platform.system() not in contract.systems:
        return f"it runs on {', '.join(contract.systems)}, this is {platform.system()}"
    if contract.machines and machine() not in {_MACHINES.get(one.lower(), one) for one in contract.machines}:
        return f"it was made for {', '.join(contract.machines)}, this machine is {machine()}"
    if missing := sorted(set(contract.isa) - cpu_flags()) if contract.isa else []:
        return f"it needs a CPU with {', '.join(missing)}"
    if contract.device != "cpu" and not has_cuda():
        return f"it needs the device {contract.device}, not found here"
    for package, wanted in contract.packages.items():
        version = installed(package)
        if version is not None and not fits(version, wanted):
            return f"it needs {package} {wanted}, here is {version}"
    return None


def machine() -> str:
    """``x86_64`` or ``aarch64``, whatever the system calls it."""
    name = platform.machine()
    return _MACHINES.get(name.lower(), name)


def has_cuda() -> bool:
    """Whether an NVIDIA GPU's device file is there; no library is loaded to find out."""
    return Path("/dev/nvidia0").exists()


def cpu_name() -> str:
    """The CPU's model name, as far as the system tells."""
    return _cpuinfo().get("model name") or platform.processor() or machine()


def cpu_flags() -> frozenset[str]:
    """The CPU's features as Linux names them; empty where the system doesn't tell."""
    return frozenset((_cpuinfo().get("flags") or _cpuinfo().get("Features") or "").split())


@lru_cache(maxsize=1)
def _cpuinfo() -> dict[str, str]:
    """The first processor of ``/proc/cpuinfo``."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    lines = text.partition("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
