"""ONNX, run by ONNX Runtime."""

GROUP = "server"
