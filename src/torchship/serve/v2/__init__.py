"""The Open Inference Protocol, version 2, over REST, with the binary tensor data extension.

https://github.com/kserve/open-inference-protocol; the extension as Triton's documentation has it.
"""
