"""What of the CPU OpenVINO makes use of."""

from __future__ import annotations

from torchship.measure.host import cpu_flags

_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # best first


def bfloat16_flag() -> str | None:
    """The CPU's feature by which OpenVINO multiplies bfloat16; None where it has none."""
    return next((flag for flag in _BFLOAT16 if flag in cpu_flags()), None)
