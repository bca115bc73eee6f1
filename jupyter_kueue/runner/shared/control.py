"""A container's view of its pod: folders and numbers from the environment, and the shared files.

``execute`` uses it in any user's image, so it needs only Python 3.9's standard library and
``contract``. It never accesses the bucket or a kernel.
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
    """Return the folder in the environment variable ``name``; exit if it is not set."""
    value = os.environ.get(name)
    if not value:
        end(
            pod_contract.EXIT_STAGING,
            f"The environment variable {name} is not set: this program runs in a run's pod only.",
        )
    return Path(value)


def seconds(name: str, default: float) -> float:
    """Return the number of seconds in the environment variable ``name``."""
    try:
        return float(os.environ[name])
    except (KeyError, ValueError):
        return default


def whole_number(name: str, default: int) -> int:
    """Return the integer in the environment variable ``name``."""
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        return default


def now() -> str:
    """Return the current time as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.now(timezone.utc)  # noqa: UP017 - datetime.UTC is Python 3.11's
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pod_uid() -> str:
    """Return the uid of this pod, which names this attempt."""
    return os.environ.get(pod_contract.ENV_POD_UID, "")


def read(path: Path) -> Json | None:
    """Return the JSON object in a file of the runner folder, None if it does not exist (yet).

    Do not use it for the control folder, where notebooks can write: see ``stage_out.reports``.
    """
    try:
        value: Json = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return value


def write(path: Path, value: Json) -> None:
    """Replace a control file atomically."""
    write_bytes(path, json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file atomically, whatever is in its place."""
    write_parts(path, [data])


def write_parts(path: Path, parts: list[bytes]) -> None:
    """Replace a file atomically by ``parts``, concatenated."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except FileNotFoundError:  # a notebook removed the folder, if it could
        path.parent.mkdir()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
        # The containers of a pod may run as different users of one group.
        os.chmod(name, 0o664)  # noqa: PTH101 - shared within the pod on purpose
        try:
            os.replace(name, path)  # noqa: PTH105 - both names are strings
        except IsADirectoryError:  # left by a notebook
            os.rename(path, f"{name}.replaced")  # noqa: PTH104
            os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def end_now(code: int, message: str) -> NoReturn:
    """Like ``end``, but exit without Python's clean-up; for programs with nothing left to write.

    The clean-up takes a tenth of a second, and a bucket client's thread that still runs during it
    aborts the process.
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
    """Leave a termination message for the container's end."""
    print(f"jupyter-kueue: {message}", file=sys.stderr, flush=True)
    named = os.environ.get(pod_contract.ENV_TERMINATION_LOG)
    log = Path(named or DEFAULT_TERMINATION_LOG)
    if named or log.exists():  # outside a pod there is no such file, and none is created
        _leave(log, message)


def _leave(log: Path, message: str) -> None:
    try:
        log.write_bytes(message.encode("utf-8", "backslashreplace")[:TERMINATION_MESSAGE_BYTES])
    except OSError as error:
        print(f"jupyter-kueue: no termination message: {error}", file=sys.stderr, flush=True)
