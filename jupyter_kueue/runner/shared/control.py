"""A container's view of its pod: folders and numbers from the environment, and the shared files.

Used by all three programs of the runner, ``execute`` in a user's image included: Python 3.9, the
standard library and ``contract``, nothing else. It never talks to the bucket or a kernel.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

from jupyter_kueue.contract import pod_contract

Json = dict[str, Any]

DEFAULT_TERMINATION_LOG = "/dev/termination-log"
# Kubernetes keeps 4 KiB of a termination message.
TERMINATION_MESSAGE_BYTES = 4096


def folder(name: str) -> Path:
    """Return the folder that the environment variable ``name`` holds; without it, exit."""
    value = os.environ.get(name)
    if not value:
        end(
            pod_contract.EXIT_STAGING,
            f"The environment variable {name} is not set: this program runs in a run's pod only.",
        )
    return Path(value)


def seconds(name: str, default: float) -> float:
    """Return the number of seconds that the environment variable ``name`` holds."""
    try:
        return float(os.environ[name])
    except (KeyError, ValueError):
        return default


def whole_number(name: str, default: int) -> int:
    """Return the whole number that the environment variable ``name`` holds."""
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        return default


def now() -> str:
    """Return this moment as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.now(timezone.utc)  # noqa: UP017 - datetime.UTC is Python 3.11's
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pod_uid() -> str:
    """Return the uid of this pod, which is the name of this attempt."""
    return os.environ.get(pod_contract.ENV_POD_UID, "")


def read(path: Path) -> Json | None:
    """Return the JSON object in a file of the runner folder, None if it is not there (yet).

    Never of the control folder, which a notebook writes to: see ``reports``.
    """
    try:
        value: Json = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return value


def write(path: Path, value: Json) -> None:
    """Replace a control file, so that a reader sees the old or the new content and no mixture."""
    write_bytes(path, json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file in one step, whatever stands in its place."""
    write_parts(path, [data])


def write_parts(path: Path, parts: list[bytes]) -> None:
    """Replace a file in one step by ``parts``, one after the other."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except FileNotFoundError:  # a notebook removed the folder, where it can
        path.parent.mkdir()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
        # The containers of a pod may run as different users of one group.
        os.chmod(name, 0o664)  # noqa: PTH101 - shared within the pod on purpose
        try:
            os.replace(name, path)  # noqa: PTH105 - both names are strings
        except IsADirectoryError:  # a notebook's doing
            os.rename(path, f"{name}.replaced")  # noqa: PTH104
            os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def end_now(code: int, message: str) -> NoReturn:
    """Do as ``end`` and leave Python without its farewells; for who has nothing left to write.

    They cost a tenth of a second of tidying up, and a thread of the bucket's client that is still
    at work during them aborts the process.
    """
    try:
        end(code, message)
    except SystemExit:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end(code: int, message: str) -> NoReturn:
    """Leave a termination message for ``kubectl describe`` and the server, and exit with ``code``.

    Raises:
        SystemExit: always.
    """
    if message:
        say(message)
    raise SystemExit(code)


def say(message: str) -> None:
    """Leave a termination message for when this container ends."""
    print(f"jupyter-kueue: {message}", file=sys.stderr, flush=True)
    named = os.environ.get(pod_contract.ENV_TERMINATION_LOG)
    log = Path(named or DEFAULT_TERMINATION_LOG)
    if named or log.exists():  # outside of a pod there is none, and none is made
        _leave(log, message)


def _leave(log: Path, message: str) -> None:
    try:
        log.write_bytes(message.encode("utf-8", "backslashreplace")[:TERMINATION_MESSAGE_BYTES])
    except OSError as error:
        print(f"jupyter-kueue: no termination message: {error}", file=sys.stderr, flush=True)
