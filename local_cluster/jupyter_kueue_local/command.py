"""The commands ``jupyter kueue local …``.

Converts arguments to calls of ``lifecycle`` and prints; decides nothing. The product's command line
finds ``add_parser`` through this distribution's entry point.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local import lifecycle
from jupyter_kueue_local.errors import LocalClusterError
from jupyter_kueue_local.kubectl import kubectl_environment
from jupyter_kueue_local.state_folder import DEFAULT_GPUS, find_state_folder

if TYPE_CHECKING:
    from jupyter_kueue_local.state_folder import StateFolder

_MOST_GPUS = 1024


def add_parser(commands: Any) -> None:
    """Add ``local`` and its subcommands to the command line."""
    local = commands.add_parser(
        "local",
        help="manage a Kueue cluster on this machine",
        description="A real Kubernetes control plane with Kueue, a bucket and a node on this "
        "machine, as ordinary processes of your user: for trying things out and for tests.",
    )
    subcommands = local.add_subparsers(
        required=True, metavar="COMMAND", parser_class=_SubcommandParser
    )

    def add(name: str, run: Any, text: str, **options: Any) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = subcommands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", **options
        )
        parser.add_argument(
            "--dir",
            metavar="FOLDER",
            help="folder of the cluster (default: $JUPYTER_KUEUE_LOCAL_DIR, otherwise kueue-local "
            "in the folder that `jupyter --data-dir` shows)",
        )
        parser.set_defaults(run=run)
        return parser

    up = add("up", _up, "start or repair the cluster; does nothing if it is running")
    up.add_argument(
        "--gpus", type=_gpus, help=f"number of simulated GPUs (saved; default {DEFAULT_GPUS})"
    )
    up.add_argument(
        "--image",
        action="append",
        default=[],
        type=_image,
        metavar="NAME=PREFIX",
        help="an image name and the folder of its Python environment; may be repeated (saved)",
    )
    add("down", _down, "stop the cluster and its runs; all data is kept")
    status = add("status", _status, "show what is running; exit code 0 if all is ready")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    reset = add("reset", _reset, "stop the cluster and delete all its data")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    add("env", _env, 'print exports for a shell: eval "$(jupyter kueue local env)"')
    add("kubectl", _kubectl, "run kubectl as the cluster's administrator", forwards=True)


class _SubcommandParser(argparse.ArgumentParser):
    """A parser that can leave another program's arguments unparsed, in ``forwarded``.

    argparse.REMAINDER cannot: it parses a first argument with a hyphen as an option.
    """

    def __init__(self, *, forwards: bool = False, **options: Any) -> None:
        super().__init__(add_help=not forwards, **options)
        self._forwards = forwards

    def parse_known_args(  # type: ignore[override] # as argparse itself calls it
        self, args: list[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if not self._forwards:
            return super().parse_known_args(args, namespace)
        own = 2 if args[:1] == ["--dir"] else sum(arg.startswith("--dir=") for arg in args[:1])
        found, _ = super().parse_known_args(args[:own], namespace)
        found.forwarded = args[own:]
        return found, []


def _gpus(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= _MOST_GPUS:
        raise argparse.ArgumentTypeError(f"a number from 0 to {_MOST_GPUS} is needed")
    return number


def _image(text: str) -> tuple[str, str]:
    name, _, prefix = text.partition("=")
    folder = Path(prefix).expanduser().absolute()
    if not name or not prefix:
        raise argparse.ArgumentTypeError("NAME=PREFIX is needed, for example my/image=/opt/env")
    if not (folder / "bin" / "python").exists():
        raise argparse.ArgumentTypeError(
            f"{folder} is not a Python environment: it has no bin/python"
        )
    return name, str(folder)


def _folder(arguments: argparse.Namespace) -> StateFolder:
    return find_state_folder(arguments.dir)


def _say(line: str) -> None:
    print(line, flush=True)


def _hint(line: str) -> None:
    """Print a hint for people, not for programs that read the output."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


def _up(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    folder = _folder(arguments)
    lifecycle.start_cluster(folder, _say, gpus=arguments.gpus, images=dict(arguments.image))
    _say(f"Ready in {time.monotonic() - started:.1f} s. The data is in {folder.path}")
    chosen = f" --dir {shlex.quote(arguments.dir)}" if arguments.dir else ""
    _say(f'To use it, run: eval "$(jupyter kueue local env{chosen})"')
    return 0


def _down(arguments: argparse.Namespace) -> int:
    lifecycle.stop_cluster(_folder(arguments), _say)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    status = lifecycle.cluster_status(_folder(arguments))
    if arguments.json:
        print(json.dumps(asdict(status), indent=2))
    else:
        for part in status.parts:
            pid = f"pid {part.pid}" if part.pid else ""
            port = f"port {part.port}" if part.port else ""
            print(f"{part.name:24} {part.state:9} {pid:12} {port}".rstrip())
        print(
            "Ready."
            if status.ready
            else "Not ready. Run `jupyter kueue local up` to start or repair it."
        )
    return 0 if status.ready else 1


def _reset(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise LocalClusterError(
                "There is no terminal to ask for confirmation. Add --yes to delete the cluster."
            )
        answer = input(f"Delete all runs, results and settings in {folder.path}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return 1
    lifecycle.reset_cluster(folder, _say)
    return 0


def _env(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    for name, value in lifecycle.cluster_environment(folder).items():
        print(f"export {name}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(str(folder.programs))}:"$PATH"')
    _hint(
        "kubectl in this shell acts as the user `user`, in the namespace default. To act as the "
        "administrator, use `jupyter kueue local kubectl`."
    )
    return 0


def _kubectl(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    lifecycle.cluster_environment(folder)  # raises if there is no cluster
    program = str(folder.programs / "kubectl")
    command = [program, *arguments.forwarded]
    if not lifecycle.is_api_server_up(folder):
        # kubectl's own words for this are a refused connection.
        print(
            "The local cluster is not running. To start it, run: jupyter kueue local up",
            file=sys.stderr,
            flush=True,
        )
    _hint(f"As the administrator of the local cluster in {folder.path}:")
    os.execve(program, command, kubectl_environment(folder))  # noqa: S606 - a shell has no part in it
