"""Where ``execute`` and its kernel meet: unix sockets in a folder of the run's own user.

A kernel that listens on a loopback port is heard by every user of the machine: its outputs go to
whoever subscribes, signed and not encrypted. Containers of a kubelet have a network of their own;
those of the local cluster do not. A socket's name cannot be taken by somebody else, either.
"""

from __future__ import annotations

import os

# unix(7): 108 bytes with the zero at their end; kernels append a dash and a digit.
LONGEST_PREFIX_BYTES = 108 - len("-5") - 1


def new_prefix(folder: str) -> str:
    """Return the beginning of the paths of one kernel's sockets, which lie in ``folder``.

    Where that is too long it leads there through this process, which its user alone may look into
    (proc_pid_fd(5)): the kernel must end with it.

    Raises:
        OSError: the folder cannot be opened.
    """
    name = os.urandom(4).hex()
    prefix = os.path.join(folder, name)  # noqa: PTH118 - pathlib is slow to import
    if len(os.fsencode(prefix)) <= LONGEST_PREFIX_BYTES:
        return prefix
    # Open for as long as this process is there.
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/{os.getpid()}/fd/{descriptor}/{name}"
