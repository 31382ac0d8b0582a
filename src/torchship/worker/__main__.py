"""The child's side: one job a line on stdin, one answer a line on what was stdout when it started.

Whatever else is printed, by converters or by the user's code, goes to stderr, which the parent keeps as the log.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from torchship import errors
from torchship.worker import lifeline
from torchship.worker.protocol import Answer, Failure, Job

if TYPE_CHECKING:
    from torchship.worker.jobs import Jobs

_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)


def main() -> None:
    """Serve jobs until the parent closes the pipe."""
    lifeline.die_with_parent()
    lifeline.tell_where()
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
        answers.write(msgspec.json.encode(answer(doing, decoder.decode(line))) + b"\n")


def answer(doing: Jobs, job: Job) -> Answer:
    """Do one job; an exception becomes a Failure."""
    try:
        return Answer(result=msgspec.Raw(msgspec.json.encode(doing.do(job))))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it goes to the parent as it is
        traceback.print_exc()
        return Answer(failure=failure(error, doing))


def failure(error: BaseException, doing: Jobs) -> Failure:
    """Put an exception into the words of ``torchship.errors``."""
    if isinstance(error, OSError) and error.errno in _STORAGE:
        return Failure("StorageError", str(error.strerror), where=str(error.filename))
    told = error if isinstance(error, errors.TorchshipError) else doing.diagnose(error)
    return Failure(type(told).__name__, told.what, told.where, told.hint, told.op)


if __name__ == "__main__":
    main()
