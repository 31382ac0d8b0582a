"""What makes a smaller or quicker ``.onnx`` of a right one."""
