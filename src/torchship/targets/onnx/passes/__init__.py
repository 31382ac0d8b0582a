"""What makes a smaller or quicker ``.onnx`` of a right one."""


def gaining() -> tuple[str, ...]:
    """The passes by which a host like this one computes quicker: int8 moves a quarter of the bytes on any."""
    return ("int8", "int8-dynamic")
