"""A home that can be written to, whatever image and user a container runs with.

Called first of all by the runner's programs. All containers of a run have one numeric user, whose
home in an image is often another user's, or ``/``. IPython, matplotlib and many others warn then,
fetch again what they could have kept, or fail. Python 3.9's standard library, as ``execute`` is.
"""

from __future__ import annotations

import os

from jupyter_kueue.contract import pod_contract

# What an image may point into the home of the user that it was made for; unset, it follows HOME.
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
    """Set HOME to a new folder if it cannot be written to, and unset what points into such a one.

    The folder is on the scratch volume, or in /tmp where there is none. Nothing is changed where
    not even that can be written.
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
    """Tell whether a folder can be written to, or be made, by trying: modes alone do not tell."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)  # noqa: PTH120
    probe = os.path.join(path, f".{os.urandom(8).hex()}")  # noqa: PTH118
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(probe)  # noqa: PTH108
    except OSError:
        return False
    return True
