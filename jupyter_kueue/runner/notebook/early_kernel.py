"""Start the environment's own Python kernel before anything slow is imported.

A kernel's start takes most of a run's first second, so ``execute`` calls this first, while the
inputs are being fetched and before it imports a Jupyter client. ``kernel_launch`` adopts the kernel
if jupyter_client would have started the same one, and otherwise replaces it. A wrong guess costs
time but never changes what runs.

Only ipykernel is started early: it reads nothing from its folder before its first cell, whereas R
reads ``.Rprofile`` and Julia its project.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

TYPE_CHECKING = False  # typing is slow to import, and this runs first
if TYPE_CHECKING:
    from typing import Any

CONNECTION_PORTS = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
LOOPBACK = "127.0.0.1"
# No history database for a run's cells, as in nbclient.
NO_HISTORY = "--HistoryManager.hist_file=:memory:"

# How many output messages may wait for the reader, in the kernel and in ``execute``, before ZeroMQ
# silently drops some. Its default of 1000 is less than a second of a fast kernel's output, and on a
# busy machine the reader may pause for longer. A text message takes about 1 KB.
WAITING_MESSAGES = 100_000
# How long a message may wait for a peer before sending fails.
SEND_MILLISECONDS = 1000

# ``python -m ipykernel_launcher`` with these differences:
# - It imports nothing from the notebook's folder, which may contain a ``calendar.py``, before the
#   first cell.
# - It does not import debugpy, because no debugger can connect. A notebook may still import it.
#   A kernel with one cell takes 0.28 s of processor time instead of 0.37 s (a median of ten).
# - It freezes ipykernel's own objects, so that the garbage collector skips them: 0.28 s instead
#   of 0.35 s.
# - It ends the control thread before it exits: with ipykernel 7.4 every fifteenth kernel hangs
#   there until it is killed, which loses what the notebook has not flushed to open files.
# - If it cannot start because a port is taken, it exits; ipykernel would wait for its own threads
#   forever.
# - It reads the connection file only at the end of its standard input, because the file is written
#   while it imports.
# - It does not rewrite that file: ipykernel 7.4 mistakes keys in it for changes and writes it
#   again, while somebody may be reading it.
# - It keeps more messages for a slow reader.
# - It encrypts the port for the output of forked processes: ipykernel 7.4 accepts output from
#   anybody there and shows it in the notebook.
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
    """A kernel's process, its folder, its kernelspec's folder, and how to connect to it.

    ``connection`` is the content of the connection file, which the kernel removes when it ends.
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
        """Whether only clients with the keys can connect."""
        return "curve_publickey" in self.connection

    def end(self) -> None:
        """Kill the kernel, which has not run anything."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start(kernel_name: str, folder: str, environment: dict[str, str]) -> EarlyKernel | None:
    """Start the kernel ``kernel_name`` of this environment in ``folder``, if that is simple.

    Returns None otherwise: the environment has no such kernel, its program is not ipykernel with
    plain arguments, or its kernelspec has variables or a provisioner.
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
        # As in jupyter_client: the kernel ends with its parent and has its own process group.
        env={**environment, "JPY_PARENT_PID": str(os.getpid())},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    kernel = EarlyKernel(process, folder, resource_dir, connection_file)
    try:
        keys = _curve_keys() if can_encrypt else {}
        kernel.connection = _write_connection_file(connection_file, kernel_name, keys)
        process.stdin.close()  # now the kernel reads the file
    except BaseException:
        kernel.end()
        raise
    return kernel


def _plain_kernelspec(resource_dir: str) -> tuple[list[str], bool] | None:
    """Return the interpreter's options in a plain ipykernel's kernelspec, None for any other.

    The second value is whether the kernelspec declares encryption, as jupyter_client requires.
    """
    try:
        with open(os.path.join(resource_dir, "kernel.json"), "rb") as file:  # noqa: PTH118, PTH123
            spec: dict[str, Any] = json.load(file)
        python, *options = spec["argv"]
        metadata = spec.get("metadata", {})
        custom = spec.get("env") or metadata.get("kernel_provisioner")
        can_encrypt = "curve" in metadata.get("supported_encryption", ())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # jupyter_client reports the problem
    rest = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    if custom or options[-len(rest) :] != rest:
        return None
    # The programs that jupyter_client replaces by sys.executable (KernelManager.format_kernel_cmd).
    major, minor = sys.version_info[:2]
    if python not in ("python", f"python{major}", f"python{major}.{minor}", sys.executable):
        return None
    return [str(option) for option in options[: -len(rest)]], can_encrypt


def _curve_keys() -> dict[str, str]:
    """Return a new pair of CurveZMQ keys for a connection file; none without libsodium.

    Without them, anybody who can reach a kernel's ports could read its output: messages are signed
    but not encrypted. On a local cluster, every user of the machine can reach them.
    """
    try:
        import zmq  # noqa: PLC0415 - takes 30 ms, which the kernel's own start hides
    except ImportError:
        return {}  # jupyter_client reports it
    if not zmq.has("curve"):
        return {}
    public, secret = zmq.curve_keypair()
    return {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}


def _write_connection_file(path: str, kernel_name: str, keys: dict[str, str]) -> dict[str, Any]:
    """Write and return the connection file ("Making kernels for Jupyter")."""
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
