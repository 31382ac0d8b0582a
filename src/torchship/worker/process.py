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
from torchship.measure.memory import available_mb, resident_mb
from torchship.worker.protocol import Answer, Failure, Job

_Answer = TypeVar("_Answer", bound=msgspec.Struct)
_LOG_TAIL = 4000  # characters of the log that an error carries
_LOOK = 0.2  # seconds between two looks at a worker's memory


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
        doing = type(job).__name__.lower()
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(msgspec.json.encode(job) + b"\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise self._died(doing) from error
        reply = msgspec.json.decode(self._line(doing, timeout), type=Answer)
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

    def _line(self, doing: str, timeout: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if selector.select(min(_LOOK, max(0.0, end - time.monotonic()))):
                    chunk = os.read(stdout.fileno(), 1 << 20)
                    if not chunk:
                        raise self._died(doing)
                    self._pending += chunk
                    continue
                self._check_bounds(doing, end, timeout)
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _check_bounds(self, doing: str, end: float, timeout: float) -> None:
        if time.monotonic() > end:
            raise WorkerError(
                f"the worker took longer than {timeout:.0f} s to {doing}",
                hint="--timeout gives it more",
                log=self.tail(),
            )
        used = resident_mb(self._process.pid)
        if used > self._memory_mb:
            raise WorkerError(
                f"the worker used {used:.0f} MB to {doing}, allowed are {self._memory_mb:.0f} MB",
                hint="a machine with more memory, or a smaller model", log=self.tail(),
            )  # fmt: skip

    def _died(self, doing: str) -> WorkerError:
        status = self._process.wait()
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        return WorkerError(f"the worker died {how} while it had to {doing}", where=self._crash_line(), log=self.tail())

    def _crash_line(self) -> str | None:
        """The deepest Python line of a crash, as faulthandler wrote it."""
        if "Fatal Python error" not in self.tail():
            return None
        lines = [line.strip() for line in self.tail().splitlines() if line.strip().startswith('File "')]
        return lines[0] if lines else None

    def tail(self) -> str:
        """The end of what it printed."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:] if self._log.exists() else ""


def raised(failure: Failure) -> TorchshipError:
    """Make the child's error one of the parent's."""
    kind: type[TorchshipError] = getattr(errors, failure.kind, TorchshipError)
    if kind is WorkerError:
        return WorkerError(failure.what, where=failure.where, hint=failure.hint)
    return kind(failure.what, where=failure.where, hint=failure.hint, op=failure.op)
