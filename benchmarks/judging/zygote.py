"""A process that has torch and the converters imported, and forks for each task, which spares every task the imports.

``zoo.py --fork`` uses it: the tasks are the same commands, and ship's workers the same code, each in a process of its
own; only they are forked, before any torch operation ran, in place of being started, and artifacts are hardly timed.
Linux alone.
"""

from __future__ import annotations

import io
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from torchship.worker.lifeline import die_with_parent

_PRELOADED = ("torch", "torch.onnx", "torch._dynamo", "onnx", "onnxscript", "onnxruntime", "openvino", "numpy.ma")


class Zygote:
    """The parent's side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, text=True)
        self._lock = threading.Lock()

    def ran(self, command: list[str], limit: float, environment: dict[str, str]) -> tuple[int, str, str]:
        """Run ``python FILE …`` or ``python -m torchship …`` in a fork; past ``limit`` seconds all of it is ended."""
        with tempfile.TemporaryDirectory(prefix="zoo-task-") as folder:
            task = {"argv": command[1:], "environment": environment, "limit": limit, "folder": folder}
            with self._lock:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(task) + "\n")
                self._process.stdin.flush()
            done = Path(folder) / "done"
            while not done.exists():
                if self._process.poll() is not None:
                    raise SystemExit("the zygote is gone")
                time.sleep(0.05)
            told = [(Path(folder) / name).read_text(errors="replace") for name in ("out", "err")]
            return int(done.read_text()), told[0], told[1]


def main() -> None:
    """Fork for each line on stdin."""
    for name in _PRELOADED:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _watch(json.loads(line))


def _watch(task: dict[str, Any]) -> NoReturn:
    die_with_parent()
    folder = Path(task["folder"])
    child = os.fork()
    if child == 0:
        _child(lambda: _run(task))
    end = time.monotonic() + task["limit"]
    status = None
    while status is None:
        found, code = os.waitpid(child, os.WNOHANG)
        if found:
            status = os.waitstatus_to_exitcode(code)
        elif time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            status = -9
        else:
            time.sleep(0.05)
    (folder / "done.new").write_text(str(status))
    (folder / "done.new").rename(folder / "done")
    os._exit(0)


def _run(task: dict[str, Any]) -> int:
    os.setsid()
    die_with_parent()
    os.environ.update(task["environment"])
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(task["folder"]) / name, os.O_WRONLY | os.O_CREAT), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if task["argv"][0] == "-m":
        sys.argv = ["torchship", *task["argv"][2:]]
        return _torchship()
    sys.argv = task["argv"]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


def _torchship() -> int:
    from torchship.cli.main import main as command
    from torchship.models import recorder
    from torchship.pipeline import timing
    from torchship.worker import process

    recorder._SECONDS = timing._SECONDS = 0.01
    timing._ROUNDS = 1
    process.subprocess = SimpleNamespace(Popen=Forked, PIPE=subprocess.PIPE)  # type: ignore[assignment]
    return command(sys.argv[1:])


class Forked:
    """What ship's parent needs of ``subprocess.Popen``, for its workers."""

    def __init__(self, _command: list[str], *, env: dict[str, str], stderr: io.IOBase, **_: object) -> None:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _child(lambda: _worker(theirs_in, theirs_out, stderr.fileno(), (ours_in, ours_out), env))
        for each in (theirs_in, theirs_out):
            os.close(each)
        self.stdin, self.stdout = os.fdopen(ours_in, "wb"), os.fdopen(ours_out, "rb", buffering=0)
        self.returncode: int | None = None

    def wait(self) -> int:
        """As Popen's."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """As Popen's."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """As Popen's."""
        self.send_signal(signal.SIGKILL)


def _worker(given: int, answers: int, log: int, ours: tuple[int, int], env: dict[str, str]) -> int:
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None
    for each in ours:
        os.close(each)
    os.dup2(given, 0)
    os.dup2(answers, 1)
    os.dup2(log, 2)
    from torchship.worker.__main__ import main as work

    work()
    return 0


def _child(run: Callable[[], int]) -> NoReturn:
    """Run and leave, past every handler of the process that was forked."""
    status = 1
    try:
        status = run() or 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - a forked child must end here
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
