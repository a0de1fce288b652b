"""The command `constrain`: its parser, and what becomes of errors.

Every command is a module of `constrain.cli` with `add_parser` and `run`.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from constrain.cli import check, compile, generate, infill, inspect
from constrain.cli.options import EXIT_CODES, Exit, UsageError
from constrain.errors import ConstrainError
from constrain.grammar.builtin import builtin_names

EPILOG = f"""\
examples:
  constrain generate --grammar json --prompt "A user, as JSON:"
  constrain infill module.py --cursor 10:5
  constrain check settings.json --grammar json
  constrain inspect '{{"a": tr' --grammar json --token true
  constrain compile --grammar json --tokenizer path/to/model
  constrain generate --help

{EXIT_CODES}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments after the program's name; those of the process where None.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    parser = _parser()
    options = parser.parse_args(argv)
    if options.list_grammars:
        print("\n".join(builtin_names()))
        return Exit.OK
    if options.command is None:
        parser.print_help()
        return Exit.USAGE
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    """Run the command chosen; no error of the user's or the library's shows a traceback."""
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _leave_pipe()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except ConstrainError as error:
        code = _complain(options.command, error, Exit.LIBRARY_ERROR)
    except (UsageError, OSError) as error:
        code = _complain(options.command, error, Exit.USAGE)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="constrain",
        description="Make a language model write only texts of a formal language.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"constrain {_version()}")
    parser.add_argument(
        "--list-grammars", action="store_true", help="print the names of the built-in grammars"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in (generate, infill, compile, check, inspect):
        command.add_parser(commands)
    return parser


def _version() -> str:
    try:
        return version("constrain")
    except PackageNotFoundError:
        return "(not installed)"


def _complain(command: str, error: Exception, code: Exit) -> Exit:
    lines = [str(error) or type(error).__name__, *getattr(error, "__notes__", ())]
    print(f"constrain {command}: " + "\n  ".join(lines), file=sys.stderr)
    return code


def _leave_pipe() -> Exit:
    """The reader has gone: let the interpreter flush what is left into nothing."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
    return Exit.BROKEN_PIPE


if __name__ == "__main__":
    sys.exit(main())
