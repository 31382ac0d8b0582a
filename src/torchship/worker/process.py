"""The parent's side of a worker: starts it, asks it, bounds its time and memory, ends it and all that it started."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from torchship import errors
from torchship.errors import TorchshipError, WorkerError
from torchship.measure.memory import available_mb, group_resident_mb
from torchship.worker.ending import doing, dumped_place, how, way_out
from torchship.worker.lifeline import DUMP_SIGNAL
from torchship.worker.protocol import Answer, Failure, Job

_Answer = TypeVar("_Answer", bound=msgspec.Struct)
_LOG_TAIL = 4000  # characters of the log that an error carries
_LOOK = 0.2  # seconds between two looks at a worker's memory
_DUMPING = 1.0  # seconds that a worker has to write its stack before it is ended


class Worker:
    """A child process. ``log`` is the file that all its chatter goes to; ``python`` another environment's, or ours.

    ``scratch``: the folder for its temporary files, and for torch's cache of compiled code, which torch makes in the
    temporary folder as soon as a model is exported.
    """

    def __init__(
        self, log: Path, *, python: str | None = None, memory_mb: float | None = None, scratch: Path | None = None
    ) -> None:
        self._log = log
        self._memory_mb = memory_mb if memory_mb is not None else 0.9 * available_mb()
        environment = {key: value for key, value in os.environ.items() if key != "TORCH_LOGS" or value}
        environment |= {"PYTHONUNBUFFERED": "1", "TORCHSHIP_WORKER": "1"}
        if scratch is not None:
            environment |= {"TMPDIR": str(scratch), "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor")}
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [python or sys.executable, "-m", "torchship.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream, env=environment, start_new_session=True,
            )  # fmt: skip
        self._pending = b""

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, job: Job, answer: type[_Answer], timeout: float) -> _Answer:
        """Have ``job`` done.

        Raises:
            WorkerError: it died, took longer than ``timeout`` seconds, or more memory than allowed.
            TorchshipError: whatever the job raised.
        """
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(msgspec.json.encode(job) + b"\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise self._died(job) from error
        reply = msgspec.json.decode(self._line(job, timeout), type=Answer)
        if reply.failure is not None:
            raise raised(reply.failure)
        return msgspec.json.decode(reply.result, type=answer)

    def close(self) -> None:
        """End the worker, and every process that it started."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # it is gone already, with what it hadn't read
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._process.kill()
        self._process.wait()

    def _line(self, job: Job, timeout: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if selector.select(min(_LOOK, max(0.0, end - time.monotonic()))):
                    chunk = os.read(stdout.fileno(), 1 << 20)
                    if not chunk:
                        raise self._died(job)
                    self._pending += chunk
                    continue
                self._check_bounds(job, end, timeout)
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _check_bounds(self, job: Job, end: float, timeout: float) -> None:
        if time.monotonic() > end:
            raise WorkerError(
                f"{doing(job)} took longer than {timeout:.0f} s", where=self._asked_line(),
                hint="--timeout gives it more", log=self.tail(),
            )  # fmt: skip
        used = group_resident_mb(self._process.pid)
        if used > self._memory_mb:
            raise WorkerError(
                f"{doing(job)} took {used:.0f} MB of memory, allowed are {self._memory_mb:.0f} MB",
                where=self._asked_line(), hint="a machine with more memory, --jobs 1, or a smaller model",
                log=self.tail(),
            )  # fmt: skip

    def _died(self, job: Job) -> WorkerError:
        status = self._process.wait()
        log = self.tail()
        place = dumped_place(log) if "Fatal Python error" in log else None
        return WorkerError(
            f"{doing(job)} {how(status)}", where=str(place) if place else None, hint=way_out(status), log=log
        )

    def _asked_line(self) -> str | None:
        """Where it is: it is asked to write its stack, which it can in the midst of compiled code too."""
        before = self._log.stat().st_size
        self._process.send_signal(DUMP_SIGNAL)
        end = time.monotonic() + _DUMPING
        while time.monotonic() < end and self._log.stat().st_size == before:
            time.sleep(0.02)
        time.sleep(0.05)  # it writes line by line
        with self._log.open("rb") as log:
            log.seek(before)
            place = dumped_place(log.read().decode(errors="replace"))
        return str(place) if place else None

    def tail(self) -> str:
        """The end of what it printed."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:] if self._log.exists() else ""


def raised(failure: Failure) -> TorchshipError:
    """Make the child's error one of the parent's."""
    kind: type[TorchshipError] = getattr(errors, failure.kind, TorchshipError)
    if kind is WorkerError:
        return WorkerError(failure.what, where=failure.where, hint=failure.hint)
    return kind(failure.what, where=failure.where, hint=failure.hint, op=failure.op)
