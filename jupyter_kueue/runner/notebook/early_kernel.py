"""Start the environment's own Python kernel before anything else is imported.

A kernel takes most of a run's first second to come up. ``execute`` calls this first, while the
inputs are still being fetched and before it imports what talks to a kernel; ``launching`` adopts
the kernel if it is the one that jupyter_client would have started, and replaces it if not. So a
wrong guess costs time and never changes what runs.

Only ipykernel is started so: it reads nothing from its folder before its first cell, where R has
its ``.Rprofile`` and Julia its project.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

TYPE_CHECKING = False  # typing is slow to import, and this comes before all else
if TYPE_CHECKING:
    from typing import Any

CONNECTION_PORTS = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
LOOPBACK = "127.0.0.1"
# No history database of a run's cells, as nbclient has it.
NO_HISTORY = "--HistoryManager.hist_file=:memory:"

# So many messages of outputs wait for the reader, in the kernel and again in ``execute``, before
# ZeroMQ drops any and says nothing. Its own 1000 are less than a second of a quick kernel's, and a
# busy machine gives the reader no turn for longer. A message of text takes about 1 KB.
WAITING_MESSAGES = 100_000
# How long a message may wait for a peer before it counts as not sent.
SEND_MILLISECONDS = 1000

# ``python -m ipykernel_launcher`` with nine differences. It imports nothing from the notebook's
# folder, where somebody may have a ``calendar.py``, before the first cell. It does not import
# debugpy, to which nothing could connect here: that costs a quarter of a second at start and end,
# and a notebook may still import it. It keeps the garbage collector away from what ipykernel itself
# is made of, which stays until the end: going through it takes the kernel most of its exit. And it
# ends the thread that answers a shutdown before it exits: in ipykernel 7.4 every fifteenth kernel
# hangs there, that thread waiting for one that is gone, until it is killed, and with it whatever a
# notebook left in an open file. And where it cannot start, for a port that is taken, it ends at
# once; ipykernel would wait for its own threads for ever. And it waits for the end of its standard
# input before it reads the connection file, which is written while it imports. And it leaves that
# file as it is: ipykernel 7.4 takes keys in it for changed ones and writes it anew, while somebody
# may read it. And it keeps more messages for a reader that is late. And the port on which it takes
# what processes print that a notebook has forked is encrypted like the others: ipykernel 7.4 takes
# what anybody sends there, and shows it in the notebook.
PROGRAM = f"""
import sys
sys.path[:] = [path for path in sys.path if path]  # until IPython puts the notebook's folder there
import gc, os, runpy, threading, traceback
gc.disable()
sys.modules["debugpy"] = None
try:
    import ipykernel.debugger
except ImportError:
    pass  # an ipykernel without one
del sys.modules["debugpy"]
import ipykernel.kernelapp
gc.freeze()
gc.enable()
import zmq
from ipykernel.iostream import IOPubThread, ZMQStream
def listen_to_children(self):
    self._pipe_uuid = os.urandom(16)
    pipe = self.socket.context.socket(zmq.PULL)
    pipe.linger = 0
    self.key_of_pipe, pipe.curve_secretkey = zmq.curve_keypair()
    pipe.curve_server = True
    self._pipe_port = pipe.bind_to_random_port("tcp://127.0.0.1")
    self._pipe_in = ZMQStream(pipe, self.io_loop)
    self._pipe_in.on_recv(self._handle_pipe_msg)
def speak_to_parent(self):
    context = zmq.Context()
    pipe = context.socket(zmq.PUSH)
    pipe.linger = 3000
    pipe.curve_publickey, pipe.curve_secretkey = zmq.curve_keypair()
    pipe.curve_serverkey = self.key_of_pipe
    pipe.connect("tcp://127.0.0.1:" + str(self._pipe_port))
    return context, pipe
if zmq.has("curve"):
    IOPubThread._setup_pipe_in = listen_to_children
    IOPubThread._setup_pipe_out = speak_to_parent
application = ipykernel.kernelapp.IPKernelApp
application.write_connection_file = lambda *_, **__: None
init_iopub = application.init_iopub
def init_patient_iopub(self, context):
    context.sndhwm = {WAITING_MESSAGES}
    init_iopub(self, context)
application.init_iopub = init_patient_iopub
sys.stdin.buffer.read()
try:
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
except Exception:
    traceback.print_exc()
    os._exit(1)
for thread in threading.enumerate():
    if thread.name == "Control":
        thread.join(1)
"""


class EarlyKernel:
    """A kernel's process, where it runs, its kernelspec's folder, and how to connect to it.

    ``connection`` is what the connection file holds; a kernel that ends takes the file with it.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        folder: str,
        resource_dir: str,
        connection_file: str,
    ) -> None:
        self.process = process
        self.folder = folder
        self.resource_dir = resource_dir
        self.connection_file = connection_file
        self.connection: dict[str, Any] = {}

    @property
    def is_encrypted(self) -> bool:
        """Whether only those can connect who have the keys."""
        return "curve_publickey" in self.connection

    def end(self) -> None:
        """Kill the kernel, which has run nothing."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start(kernel_name: str, folder: str, environment: dict[str, str]) -> EarlyKernel | None:
    """Start the kernel ``kernel_name`` of this environment in ``folder``, if that is simple.

    Returns None where it is not: no such kernel in this environment, another program than ipykernel
    with plain arguments, or a kernelspec with variables or a provisioner of its own.
    """
    resource_dir = os.path.join(sys.prefix, "share", "jupyter", "kernels", kernel_name)  # noqa: PTH118
    plain = _plain_kernelspec(resource_dir)
    if plain is None:
        return None
    options, can_encrypt = plain
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - pathlib is not imported yet
    runtime_dir = environment.get("JUPYTER_RUNTIME_DIR", folder)
    connection_file = os.path.join(runtime_dir, f"kernel-{os.urandom(16).hex()}.json")  # noqa: PTH118
    command = [sys.executable, *options, "-c", PROGRAM, "-f", connection_file, NO_HISTORY]
    process = subprocess.Popen(
        command,
        cwd=folder,
        # As jupyter_client does it: the kernel ends with its parent, and has a group of its own.
        env={**environment, "JPY_PARENT_PID": str(os.getpid())},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    kernel = EarlyKernel(process, folder, resource_dir, connection_file)
    try:
        keys = _curve_keys() if can_encrypt else {}
        kernel.connection = _write_connection_file(connection_file, kernel_name, keys)
        process.stdin.close()  # the kernel reads the file
    except BaseException:
        kernel.end()
        raise
    return kernel


def _plain_kernelspec(resource_dir: str) -> tuple[list[str], bool] | None:
    """Return the interpreter's options in a kernelspec of plain ipykernel, None for any other.

    With them, whether it says that its connections can be encrypted, as jupyter_client asks for it.
    """
    try:
        with open(os.path.join(resource_dir, "kernel.json"), "rb") as file:  # noqa: PTH118, PTH123
            spec: dict[str, Any] = json.load(file)
        python, *options = spec["argv"]
        metadata = spec.get("metadata", {})
        custom = spec.get("env") or metadata.get("kernel_provisioner")
        can_encrypt = "curve" in metadata.get("supported_encryption", ())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # jupyter_client says what is wrong with it
    rest = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    if custom or options[-len(rest) :] != rest:
        return None
    # What jupyter_client takes for "this Python" (KernelManager.format_kernel_cmd).
    major, minor = sys.version_info[:2]
    if python not in ("python", f"python{major}", f"python{major}.{minor}", sys.executable):
        return None
    return [str(option) for option in options[: -len(rest)]], can_encrypt


def _curve_keys() -> dict[str, str]:
    """Return a new pair of CurveZMQ's keys, as a connection file has them; none without libsodium.

    Whoever else can reach a kernel's ports could otherwise listen to what it prints: the signature
    of messages does not hide them. In a pod that is nobody, on a local cluster every user of the
    machine.
    """
    try:
        import zmq  # noqa: PLC0415 - takes 30 ms, which the kernel's own start hides
    except ImportError:
        return {}  # jupyter_client says so
    if not zmq.has("curve"):
        return {}
    public, secret = zmq.curve_keypair()
    return {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}


def _write_connection_file(path: str, kernel_name: str, keys: dict[str, str]) -> dict[str, Any]:
    """Write and return what both ends of a connection must know ("Making kernels for Jupyter")."""
    taken = [socket.socket() for _ in CONNECTION_PORTS]
    try:
        for one in taken:
            one.bind((LOOPBACK, 0))
        ports = {name: one.getsockname()[1] for name, one in zip(CONNECTION_PORTS, taken)}  # noqa: B905 - strict= is Python 3.10's
    finally:
        for one in taken:
            one.close()
    connection = {
        **ports,
        "ip": LOOPBACK,
        "key": os.urandom(16).hex(),
        "transport": "tcp",
        "signature_scheme": "hmac-sha256",
        "kernel_name": kernel_name,
        **keys,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(connection, file)
    return connection
