"""The child's side: one job a line on stdin, one answer a line on what was stdout when it started.

Whatever else is printed, by converters or by the user's code, goes to stderr, which the parent keeps as the log.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from typing import BinaryIO

import msgspec

from torchship import errors
from torchship.worker import lifeline
from torchship.worker.protocol import Answer, Failure, Job


def main() -> None:
    """Serve jobs until the parent closes the pipe."""
    lifeline.die_with_parent()
    faulthandler.enable()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - for code that asks its user; lives as long as the process
    jobs = os.fdopen(os.dup(0), "rb")
    serve(jobs, answers)


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer each line of ``jobs`` with a line in ``answers``."""
    from torchship.worker.jobs import Jobs

    doing = Jobs()
    decoder = msgspec.json.Decoder(Job)
    for line in jobs:
        answers.write(msgspec.json.encode(answer(doing.do, decoder.decode(line))) + b"\n")


def answer(do: object, job: Job) -> Answer:
    """Do one job; an exception becomes a Failure."""
    try:
        return Answer(result=msgspec.Raw(msgspec.json.encode(do(job))))  # type: ignore[operator]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it goes to the parent as it is
        traceback.print_exc()
        return Answer(failure=failure(error))


def failure(error: BaseException) -> Failure:
    """Put an exception into the words of ``torchship.errors``."""
    told = "".join(traceback.format_exception(error))[-8000:]
    if isinstance(error, errors.TorchshipError):
        return Failure(type(error).__name__, error.what, error.where, error.hint, error.op, told)
    if isinstance(error, MemoryError):
        return Failure("WorkerError", "out of memory", traceback=told)
    if isinstance(error, OSError) and error.strerror:
        return Failure("StorageError", error.strerror, where=str(error.filename), traceback=told)
    return Failure("ConversionError", f"{type(error).__name__}: {str(error).strip()[:400]}", traceback=told)


if __name__ == "__main__":
    main()
