"""``torchship COMMAND``: finds the command's file by its name, and turns errors into exit statuses."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from torchship import __version__, cli
from torchship.cli.output import Output
from torchship.errors import TorchshipError, UsageError

_NO_COMMANDS = {"main", "output"}


def commands() -> tuple[str, ...]:
    """Names of all commands: the files of this folder."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(cli.__path__) if info.name not in _NO_COMMANDS))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, hint=f"{self.prog} --help")


def _parser(command: str | None) -> argparse.ArgumentParser:
    """Only the file of the command that was asked for is imported: the cold start is part of the product."""
    parser = _Parser(prog="torchship", description="Ship a trained PyTorch model: converted, proven, measured, served.")
    parser.add_argument("--version", action="version", version=f"torchship {__version__}")
    places = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name in [command] if command in commands() else commands():
        module = importlib.import_module(f"torchship.cli.{name}")
        below = places.add_parser(name, help=module.HELP, description=module.HELP)
        below.add_argument("--json", action="store_true", help="one JSON object on stdout, all else on stderr")
        below.add_argument("--debug", action="store_true", help="show the traceback of an error")
        module.add(below)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit status (CONTRACT: 0 done, 2 usage, 3 refused, 4 constraints, 1 else)."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    output = Output("--json" in words)
    try:
        options = _parser(words[0] if words else None).parse_args(words)
        if options.command is None:
            raise UsageError("no command given", hint=f"one of: {', '.join(commands())}")
        return int(importlib.import_module(f"torchship.cli.{options.command}").run(options, output))
    except TorchshipError as error:
        if debug:
            raise
        output.error(error)
        return error.exit_status
    except KeyboardInterrupt:
        if debug:
            raise
        output.error(TorchshipError("interrupted; nothing was changed"))
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away: there is nobody to tell
        return 1
    except Exception as error:
        if debug:
            raise
        output.error(_unforeseen(error))
        return 1


def _unforeseen(error: Exception) -> TorchshipError:
    if isinstance(error, OSError):
        from torchship.bundle.storage import storage_error

        return storage_error(error, error.filename or "the disk", "can't use")
    if isinstance(error, MemoryError):
        return TorchshipError("out of memory", hint="a smaller batch, or a machine with more memory")
    return TorchshipError(f"{type(error).__name__}: {error}", hint="run it again with --debug and report what it shows")


if __name__ == "__main__":
    raise SystemExit(main())
