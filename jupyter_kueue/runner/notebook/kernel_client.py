"""nbclient's client with outputs shown as they arrive, with limits and without idle waits.

It needs nbclient, so it is imported only when a notebook runs. Outputs have the kinds, order and
content that nbclient gives them by default, except that consecutive pieces of one stream are
joined. The cost of a message depends on its size only, never on earlier outputs.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from queue import Empty
from typing import TYPE_CHECKING, Any

import zmq
from nbclient import NotebookClient
from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionComplete, DeadKernelError
from nbclient.util import ensure_async
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg

from jupyter_kueue.runner.notebook import kernel_messages, streams
from jupyter_kueue.runner.notebook.early_kernel import SEND_MILLISECONDS, WAITING_MESSAGES
from jupyter_kueue.runner.notebook.kernel_messages import NOT_UNDERSTOOD, TOO_DEEP
from jupyter_kueue.runner.notebook.output_budget import OUTPUT_BYTES, OutputBudget, size_of
from jupyter_kueue.runner.notebook.output_widget import OutputWidget
from jupyter_kueue.runner.shared import bounds

if TYPE_CHECKING:
    from collections.abc import Callable

# jupyter_client speaks this version and translates for kernels of other versions ("Messaging in
# Jupyter").
PROTOCOL_VERSION = 5
# The interval for connecting to a kernel that is not up yet; ZeroMQ's default of 100 ms would be a
# tenth of a short run's time.
RECONNECT_MILLISECONDS = 5
# How long to wait for the reply to one kernel_info_request, and then for its status on IOPub, which
# may connect too late to receive it, before asking again.
REPLY_SECONDS = 1.0
ECHO_SECONDS = 0.02

# How long to handle messages that are already waiting before other tasks get a turn.
TURN_SECONDS = 0.01

# After this time from a cell's reply, nbclient silently gives up the cell's outputs, so that a busy
# machine loses the last ones. This client waits for as long as outputs arrive; only after
# QUIET_SECONDS without any does it assume that the message that marks their end was lost.
IOPUB_SECONDS = 10**9
QUIET_SECONDS = 15.0
NO_END = "The kernel did not say where this cell's outputs end: the last ones may be missing."

# How large a message may be, in multiples of the limit, to be read and kept in part: most text in
# JSON takes less than twice its length, and JSON in memory takes several times its size.
READ_FACTOR = 2
READ_BEYOND_BYTES = 64 * 2**20

# Larger outputs are handled as they arrive.
LARGE_BYTES = 2**20

# Stands for frames that are not a message or are not signed with the kernel's key.
_NO_MESSAGE: dict[str, Any] = {"parent_header": {}}

OUTPUT_KINDS = frozenset({"stream", "display_data", "execute_result", "error"})


class NoAnswerError(RuntimeError):
    """The kernel runs but does not answer."""


class NotEncryptedError(NoAnswerError):
    """A connection that should be encrypted is not, on the kernel's side."""


class QuietError(Exception):
    """A cell's reply has come, but the end of its outputs does not."""


@dataclass
class _Display:
    """The content that all outputs of one display id share, and the cells they are in."""

    shown: Any
    size: int
    outputs: dict[int, int] = field(default_factory=dict)  # their number by cell index


class Client(NotebookClient):  # type: ignore[misc]  # nbclient ships no types
    """A NotebookClient that reports output and changes of the notebook.

    Args:
        notebook: its cells receive the outputs.
        max_output_bytes: limit of all outputs together; the notebook says what was left out.
        printed: called with an output's text for the log.
        said: called with messages about the run.
        extended: called with the index of a cell that has new outputs, or whose last one has grown.
        changed: called with the index of a cell that has changed in another way.
        traits: NotebookClient's.
    """

    def __init__(
        self,
        notebook: Any,
        *,
        max_output_bytes: int,
        printed: Callable[[str], None],
        said: Callable[[str], None],
        extended: Callable[[int], None],
        changed: Callable[[int], None],
        **traits: Any,
    ) -> None:
        super().__init__(notebook, iopub_timeout=IOPUB_SECONDS, **traits)
        self.clear_before_next_output = False
        self._budget = OutputBudget(max_output_bytes)
        self._printed = printed
        self._said = said
        self._extended = extended
        self._changed = changed
        self._displays: dict[str, _Display] = {}
        self._displays_of_cell: dict[int, set[str]] = {}
        self._widget_sizes: dict[str, dict[str, int]] = {}
        self._full_cells: set[int] = set()
        self._left_out: set[tuple[int, str]] = set()
        self._said_of_cells: set[tuple[int, str]] = set()
        self._awaited: tuple[str, Any, int] | None = None
        self._untold_widgets: dict[str, OutputWidget] = {}
        self.widget_registry = {"@jupyter-widgets/output": {"OutputModel": self._new_widget}}

    def _new_widget(self, comm_id: str, state: Any, client: Any, executor: Any) -> OutputWidget:
        return OutputWidget(comm_id, state, client, executor, self._note_untold)

    def _note_untold(self, widget: OutputWidget) -> None:
        self._untold_widgets[widget.comm_id] = widget

    def _tell_widgets(self) -> None:
        """Send the kernel the content of its output widgets, before the next cell can read it."""
        untold, self._untold_widgets = self._untold_widgets, {}
        for widget in untold.values():
            widget.tell()

    async def async_start_new_kernel_client(self, **_options: Any) -> Any:
        """Connect to the kernel and return once it answers on both channels.

        Unlike nbclient, it does not wait for 0.2 s of silence, and it asks for kernel_info only
        once: the notebook's language_info comes from the same reply.

        Raises:
            DeadKernelError: the kernel ends before it answers.
            NoAnswerError: it has not answered within nbclient's startup_timeout.
        """
        self.kc = self.km.client()
        # The client has its own context, which the manager's settings do not reach.
        self.kc.context.reconnect_ivl = RECONNECT_MILLISECONDS
        self.kc.context.rcvhwm = WAITING_MESSAGES
        # ZeroMQ drops a peer that does not speak CURVE, and a send without peers blocks the event
        # loop forever.
        self.kc.context.sndtimeo = SEND_MILLISECONDS
        self.kc.start_channels()
        self.kc.allow_stdin = False
        reply = await self._kernel_info()
        try:
            protocol = int(reply["protocol_version"].split(".")[0])
            self.nb.metadata["language_info"] = dict(reply["language_info"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"its kernel_info_reply could not be understood: {error!r}"
            raise NoAnswerError(message) from error
        if protocol != PROTOCOL_VERSION:
            self.kc.session.adapt_version = protocol
        return self.kc

    async def _kernel_info(self) -> Any:
        """Ask until the kernel replies and IOPub, connected by then, shows it idle."""
        asked = set()
        deadline = time.monotonic() + self.startup_timeout
        while True:
            try:
                asked.add(self.kc.kernel_info())
            except zmq.Again as error:
                message = "it does not take connections that are encrypted"
                raise NotEncryptedError(message) from error
            try:
                reply = await self._next_reply(REPLY_SECONDS)
                while reply["msg_type"] == "kernel_info_reply":
                    seen = await ensure_async(self.kc.get_iopub_msg(timeout=ECHO_SECONDS))
                    if (
                        seen["parent_header"].get("msg_id") in asked
                        and seen["content"].get("execution_state") == "idle"
                    ):
                        return reply["content"]
            except Empty:
                pass
            if not await ensure_async(self.km.is_alive()):
                message = "Kernel died before replying to kernel_info"
                raise DeadKernelError(message)
            if time.monotonic() > deadline:
                message = f"it did not answer within {self.startup_timeout:g} s"
                raise NoAnswerError(message)

    async def drain(self, seconds: float) -> None:
        """Read the last messages of a kernel that has ended, for the cell that ran."""
        if self._awaited is None:
            return
        parent_id, cell, cell_index = self._awaited
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not await self.kc.iopub_channel.socket.poll(50):
                return
            message = await self._next_message()
            try:
                self._take(message, parent_id, cell, cell_index)
            except CellExecutionComplete:
                return

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: Any, cell_index: int) -> None:
        """Handle messages until the cell has ended.

        nbclient polls its socket twice per message, so that it drops messages of a kernel that
        sends many small ones.
        """
        self._awaited = (parent_msg_id, cell, cell_index)
        turn_ends = time.monotonic() + TURN_SECONDS
        while True:
            try:
                message = await self._next_message(cell)
                self._take(message, parent_msg_id, cell, cell_index)
            except QuietError:
                self._leave_out(cell.outputs, cell_index, NO_END)
                return
            except CellExecutionComplete:
                self._awaited = None
                self._tell_widgets()
                return
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + TURN_SECONDS

    async def _async_poll_for_reply(
        self,
        msg_id: str,
        cell: Any,
        _timeout: Any,
        task_poll_output_msg: asyncio.Future[Any],
        task_poll_kernel_alive: asyncio.Future[Any],
    ) -> Any:
        """Return the reply to a cell once its outputs have arrived; ignore other messages.

        nbclient's version raises on malformed messages. The keeper enforces the time limits.
        """
        while True:
            reply = await self._next_reply()
            if reply["parent_header"].get("msg_id") == msg_id:
                break
        cell.metadata.setdefault("execution", {})["shell.execute_reply"] = timestamp(reply)
        await task_poll_output_msg
        task_poll_kernel_alive.cancel()
        return reply

    async def _next_reply(self, seconds: float | None = None) -> Any:
        """Return the next reply.

        Raises:
            Empty: none came within ``seconds``.
        """
        channel = self.kc.shell_channel
        while True:
            if not await channel.socket.poll(None if seconds is None else 1000 * seconds):
                raise Empty
            frames = await channel.socket.recv_multipart()
            try:
                return kernel_messages.reply(channel.session, frames)
            except Exception:  # noqa: BLE001, S112 - code in the kernel can send anything
                continue

    async def _next_message(self, cell: Any = None) -> Any:
        """Return the kernel's next message, as ``kernel_messages.read`` does.

        Raises:
            QuietError: none came for a long time after the reply to ``cell``.
        """
        channel = self.kc.iopub_channel
        received = channel.socket.recv_multipart()
        is_quiet = False
        try:
            while not received.done() and not is_quiet:
                await asyncio.wait({received}, timeout=QUIET_SECONDS)
                is_quiet = not received.done() and cell is not None and _is_replied(cell)
        finally:
            received.cancel()  # otherwise it would consume the next message
        if is_quiet:
            raise QuietError
        try:
            limit = READ_FACTOR * self._budget.limit_bytes + READ_BEYOND_BYTES
            return kernel_messages.read(channel.session, received.result(), limit)
        except Exception:  # noqa: BLE001 - code in the kernel can send anything
            return _NO_MESSAGE

    def _take(self, message: Any, parent_id: str, cell: Any, cell_index: int) -> None:
        if message["parent_header"].get("msg_id") != parent_id:
            return
        if message["content"] is None:
            self._leave_out(cell.outputs, cell_index, message["why"])
            return
        outputs = len(cell.outputs)
        try:
            self.process_message(message, cell, cell_index)
        except CellExecutionComplete:
            raise
        except Exception as error:  # noqa: BLE001 - code in the kernel can send anything
            del cell.outputs[outputs:]
            self._changed(cell_index)
            is_deep = isinstance(error, RecursionError)  # deeply nested lists
            why = TOO_DEEP if is_deep else NOT_UNDERSTOOD.format(type(error).__name__)
            self._leave_out(cell.outputs, cell_index, why)

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Handle a message of the kernel as nbclient does, and note the change."""
        if msg["msg_type"] not in ("status", "execute_input"):
            self._extended(cell_index)
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        """Add an output to a cell; text of a stream is appended to the previous piece."""
        kind, content = msg["msg_type"], msg["content"]
        if kind not in OUTPUT_KINDS:
            return super().output(outs, msg, None, cell_index)
        self._printed(_as_text(kind, content))
        hooks = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if hooks:
            if self._budget.take(_owner(hooks), _size_of_output(msg)):
                return super().output(outs, msg, display_id, cell_index)
            self._leave_out(outs, cell_index)
            return None
        if self.clear_before_next_output:  # as nbclient does, and before anything is counted
            outs[:] = []
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
        if kind == "error":
            # The error that made the cell fail is always kept, up to the usual limits.
            if not self._budget.take(cell_index, _size_of_output(msg)):
                content.update(bounds.error_output(content))
            return super().output(outs, msg, None, cell_index)
        if cell_index in self._full_cells:
            return None
        if kind == "stream":
            return self._add_stream(outs, content, cell_index)
        size = _size_of_output(msg)
        if not self._budget.take(cell_index, size):
            self._leave_out(outs, cell_index)
            return None
        if size > LARGE_BYTES:
            out = _large_output(kind, content)
            outs.append(out)
        else:
            out = super().output(outs, msg, None, cell_index)
        if display_id and out is not None:
            self._note_display(display_id, out, size, cell_index)
        return out

    def _add_stream(self, outs: Any, content: Any, cell_index: int) -> Any:
        """Add a piece of a stream, or as much of it as fits."""
        name, text = content["name"], content["text"]
        last = outs[-1] if outs else {}
        is_joined = streams.is_joined(last, name)
        kept = self._budget.take_text(cell_index, 0 if is_joined else OUTPUT_BYTES, text)
        if is_joined:
            last["text"] += kept
        elif kept or not text:
            last = _stream(name, kept)
            outs.append(last)
        if len(kept) < len(text):
            self._leave_out(outs, cell_index)
        return last

    def clear_output(self, outs: Any, msg: Any, cell_index: int) -> None:
        """Clear the outputs of a cell, or of a widget, as nbclient does."""
        hooks = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if hooks:
            self._budget.clear(_owner(hooks))
        super().clear_output(outs, msg, cell_index)

    def _leave_out(self, outs: Any, cell_index: int, why: str = "") -> None:
        """Note once in the cell and in the log that outputs are left out, or the reason ``why``."""
        limit = bounds.in_megabytes(self._budget.limit_bytes)
        text = why or (
            f"The outputs of this notebook have reached {limit}. Further output of this cell "
            "is not kept. Print less, or write it to a file."
        )
        if not why:
            self._full_cells.add(cell_index)
        if (cell_index, text) in self._left_out:
            return
        if (cell_index, text) not in self._said_of_cells:
            self._said_of_cells.add((cell_index, text))
            self._said(text)
        self._left_out.add((cell_index, text))
        outs.append(_stream("stderr", f"\n--- {text}\n"))
        self._extended(cell_index)

    def _note_display(self, display_id: str, out: Any, size: int, cell_index: int) -> None:
        display = self._displays.get(display_id)
        if display is None:
            shown = {"data": out["data"], "metadata": out["metadata"]}
            display = self._displays[display_id] = _Display(shown, size)
        # All outputs of an id share their content, so that one update changes all of them.
        out.update(display.shown)
        display.outputs[cell_index] = display.outputs.get(cell_index, 0) + 1
        self._displays_of_cell.setdefault(cell_index, set()).add(display_id)

    def _update_display_id(self, display_id: str, msg: Any) -> None:
        """Update all outputs of a display id at once; nbclient updates one by one."""
        display = self._displays.get(display_id)
        if display is None:
            return
        if msg["header"]["msg_type"] == "update_display_data":
            msg["header"]["msg_type"] = "display_data"
        size = _size_of_output(msg)
        more = size - display.size
        if not self._budget.fits(more * sum(display.outputs.values())):
            newest = max(display.outputs)
            self._leave_out(self.nb["cells"][newest]["outputs"], newest)
            return
        for cell_index, count in display.outputs.items():
            self._budget.take(cell_index, more * count)
        display.size = size
        new = msg["content"] if size > LARGE_BYTES else output_from_msg(msg)
        for part in ("data", "metadata"):
            display.shown[part].clear()
            dict.update(display.shown[part], new[part])
        for cell_index in display.outputs:
            self._changed(cell_index)

    def clear_display_id_mapping(self, cell_index: int) -> None:
        """Note that a cell's outputs were cleared."""
        self._forget(cell_index)

    def _forget(self, cell_index: int) -> None:
        for display_id in self._displays_of_cell.pop(cell_index, ()):
            outputs = self._displays[display_id].outputs
            del outputs[cell_index]
            if not outputs:
                del self._displays[display_id]
        self._budget.clear(cell_index)
        self._full_cells.discard(cell_index)
        self._left_out = {said for said in self._left_out if said[0] != cell_index}
        self._changed(cell_index)

    def handle_comm_msg(self, outs: Any, msg: Any, cell_index: int) -> None:
        """Keep a widget's state, as far as it fits."""
        content = msg["content"]
        if not isinstance(content["data"], dict):
            return  # not of a widget: ipywidgets and nbclient expect objects
        state = content["data"].get("state")
        if "state" in content["data"] and not isinstance(state, dict):
            return
        if self.store_widget_state and state is not None:
            widget = content["comm_id"]
            sizes = self._widget_sizes.setdefault(widget, {})
            new = {key: size_of(value) for key, value in state.items()}
            buffers = sum(memoryview(part).nbytes for part in msg.get("buffers") or ()) * 4 // 3
            more = buffers + sum(size - sizes.get(key, 0) for key, size in new.items())
            if not self._budget.take(f"widget {widget}", more):
                self._leave_out(outs, cell_index)
                return
            sizes.update(new)
        super().handle_comm_msg(outs, msg, cell_index)


def _is_replied(cell: Any) -> bool:
    """Return whether the kernel has replied to the cell, which nbclient notes (record_timing)."""
    return "shell.execute_reply" in cell.metadata.get("execution", {})


def _stream(name: str, text: str) -> Any:
    header = {"msg_type": "stream"}
    return output_from_msg({"header": header, "content": {"name": name, "text": text}})


def _owner(hooks: Any) -> str:
    """Return the owner for whom outputs captured by a widget are counted."""
    return f"outputs of {hooks[-1].comm_id}"


def _size_of_output(message: Any) -> int:
    return OUTPUT_BYTES + int(message["size"])


def _large_output(kind: str, content: Any) -> Any:
    """Return an output like output_from_msg, but with its values as plain JSON.

    output_from_msg turns each object in them into a node, which takes most of the time.
    """
    out = NotebookNode(output_type=kind)
    for part in ("data", "metadata"):
        out[part] = NotebookNode()
        dict.update(out[part], content[part])
    if kind == "execute_result":
        out["execution_count"] = content["execution_count"]
    return out


def _as_text(kind: str, content: Any) -> str:
    """Return the text that a log shows for an output."""
    if kind == "stream":
        return str(content["text"])
    if kind == "error":
        return (
            "\n".join(content.get("traceback") or [f"{content['ename']}: {content['evalue']}"])
            + "\n"
        )
    if kind in ("display_data", "execute_result"):
        text = content["data"].get("text/plain")
        return f"{text}\n" if text else ""
    return ""
