"""What makes a smaller or quicker OpenVINO model of a right one."""

from torchship.targets.openvino.flags import bfloat16_flag


def gaining() -> tuple[str, ...]:
    """The passes by which a host like this one computes quicker; bfloat16 only where the CPU multiplies it."""
    return ("int8", "bf16") if bfloat16_flag() else ("int8",)
