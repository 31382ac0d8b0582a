"""How a worker came to its end, in the user's terms: what it was doing, how it went, and on which line of Python."""

from __future__ import annotations

import re
import signal

from torchship.models.places import Place, deepest
from torchship.worker.protocol import Bisect, Convert, Derive, Job, Observe, Open, Prune, Rank, Run, Score, Time

_DUMPED = re.compile(r'^ *File "([^"]+)", line (\d+) in (\S+)', re.MULTILINE)
_DUMP = "(most recent call first):"
_SIGNALS = {
    "SIGSEGV": "compiled code touched memory that isn't its own",
    "SIGBUS": "compiled code touched memory that isn't there, or a file was cut short",
    "SIGILL": "compiled code uses an instruction that this CPU lacks",
    "SIGFPE": "compiled code divided by zero",
    "SIGABRT": "compiled code gave up; the log's end says why",
    "SIGKILL": "somebody else ended it: the system does, where memory runs out",
    "SIGTERM": "somebody else ended it",
}


_DOING: dict[type, str] = {
    Observe: "opening and running the model",
    Convert: "converting to {0.target} ({0.route})",
    Prune: "pruning the model",
    Derive: "making {0.name} of the {0.artifact.target} artifact",
    Rank: "looking for the layers of the {0.artifact.target} artifact that suffer most",
    Bisect: "looking for the layer that departs",
    Open: "opening the {0.artifact.target} artifact",
    Run: "running the artifact",
    Time: "running the artifact",
    Score: "the user's evaluate function",
}


def doing(job: Job) -> str:
    """What a job does, as the beginning of a sentence."""
    return _DOING[type(job)].format(job)


def how(status: int) -> str:
    """What an exit status tells."""
    if status >= 0:
        return f"ended the process with exit status {status}"
    name = signal.Signals(-status).name
    why = _SIGNALS.get(name)
    return f"died by {name}" + (f" ({why})" if why else "")


def way_out(status: int) -> str:
    """What to do about it."""
    if status >= 0:
        return "take the call of exit() out of the code that runs"
    if -status == signal.SIGKILL:
        return "convert one target at a time (--jobs 1), or on a machine with more memory"
    return "another route or target may take it; it is a fault of the compiled code to be told to who makes it"


def dumped_place(log: str) -> Place | None:
    """The line that was running when faulthandler wrote the stack of each thread, the last time that it did."""
    _, found, dump = log.rpartition(_DUMP)
    if not found:
        return None
    places = [Place(file, int(line), name) for file, line, name in _DUMPED.findall(dump)]
    return deepest(reversed(places))
