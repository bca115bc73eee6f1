"""The command line, ``jupyter kueue …``: parses, calls one function of the package, prints.

Each subcommand is a module with ``add_parser``, here or in another distribution that names the
function in the entry-point group ``jupyter_kueue.commands``. Only this module turns the package's
errors into one line and exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from jupyter_kueue import __version__
from jupyter_kueue.cli import stock_import
from jupyter_kueue.domain.errors import JupyterKueueError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = "jupyter_kueue.commands"
_NO_LOCAL_CLUSTER = (
    "jupyter kueue: The local cluster is not installed. Install it with: "
    "pip install 'jupyter-kueue[local]'"
)
_INTERRUPTED = 130  # as in shells: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 success, 1 failure, 2 wrong usage.

    A command that uses the bucket ends the process itself with that code.
    """
    parser = argparse.ArgumentParser(
        prog="jupyter kueue",
        description="Queue notebook runs fairly on a Kubernetes cluster with Kueue.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(uses_bucket=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in entry_points(group=_COMMANDS):
        command.load()(commands)
    stock_import.add_parser(commands)
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["local"] and "local" not in commands.choices:
        print(_NO_LOCAL_CLUSTER, file=sys.stderr)
        return 1
    arguments = parser.parse_args(given)
    code = _run(arguments)
    if arguments.uses_bucket:
        # A thread of the bucket's client that still runs during Python's shutdown aborts the
        # process, although the command is done.
        os._exit(code)
    return code


def _run(arguments: argparse.Namespace) -> int:
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except JupyterKueueError as error:
        print(f"jupyter kueue: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush
        return 1
    return code
