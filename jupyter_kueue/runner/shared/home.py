"""A writable home, whatever image and user a container runs with.

All containers of a run use one numeric user, whose home in an image is often another user's, or
``/``. Many programs, such as IPython and matplotlib, then warn, fetch again what they could have
cached, or fail. Needs only Python 3.9's standard library.
"""

from __future__ import annotations

import os

from jupyter_kueue.contract import pod_contract

# Variables that an image may point into its own user's home; if unset, they follow HOME.
FOLLOWING = (
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "MPLCONFIGDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)


def ensure() -> None:
    """Make HOME writable, with a new folder if necessary.

    The folder is on the scratch volume, or in TMPDIR or /tmp without one. If it cannot be created,
    HOME is not changed. Variables of FOLLOWING that point to a folder that is not writable are
    unset.
    """
    for name in FOLLOWING:
        if name in os.environ and not _is_writable(os.environ[name]):
            del os.environ[name]
    home = os.environ.get("HOME", "")
    if os.path.isdir(home) and _is_writable(home):  # noqa: PTH112 - pathlib is slow to import
        return
    parent = os.environ.get(pod_contract.ENV_SCRATCH_DIR) or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the name cannot be guessed
    folder = os.path.join(parent, f"home-{os.urandom(8).hex()}")  # noqa: PTH118
    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102
    except OSError:
        return
    os.environ["HOME"] = folder


def _is_writable(path: str) -> bool:
    """Return whether a folder can be written to or created, by trying: its mode is not enough."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)  # noqa: PTH120
    probe = os.path.join(path, f".{os.urandom(8).hex()}")  # noqa: PTH118
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(probe)  # noqa: PTH108
    except OSError:
        return False
    return True
