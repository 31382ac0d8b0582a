"""The peer: a model behind FastAPI, as its documentation and ONNX Runtime's advise for speed.

Pydantic models in and out (both in Rust), an async endpoint (the net takes 0.1 ms, so a thread would cost more than it
brings), one intra-op thread a worker; run by ``uvicorn --workers 2`` with uvloop and httptools. JSON is the same body
that torchship gets; binary is the bare bytes of the picture, and of the scores.
"""

import os

import numpy as np
import onnxruntime
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Tensor(BaseModel):
    """An input, its data flat."""

    name: str
    shape: list[int]
    datatype: str
    data: list[int]


class Question(BaseModel):
    """A request of the Open Inference Protocol."""

    inputs: list[Tensor]


class Output(BaseModel):
    """An output, its data flat."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class Answer(BaseModel):
    """Its answer."""

    model_name: str
    outputs: list[Output]


def scores_of(image: np.ndarray) -> np.ndarray:
    """uint8 [batch, 1, 28, 28] to float32 [batch, 10]."""
    return session.run(None, {"image": image})[0]


@app.post("/json")
async def by_json(question: Question) -> Answer:
    """Answer numbers with numbers."""
    tensor = question.inputs[0]
    scores = scores_of(np.array(tensor.data, np.uint8).reshape(tensor.shape))
    output = Output(name="scores", datatype="FP32", shape=list(scores.shape), data=scores.ravel().tolist())
    return Answer(model_name="digits", outputs=[output])


@app.post("/binary")
async def by_bytes(request: Request) -> Response:
    """Answer bytes with bytes."""
    image = np.frombuffer(await request.body(), np.uint8).reshape(-1, 1, 28, 28)
    return Response(scores_of(image).tobytes(), media_type="application/octet-stream")
