"""nbclient's client with three wishes: outputs as they come, streams in few pieces, no idle waits.

Used by ``cells`` alone. It needs nbclient, so it is imported only when a notebook runs.
"""

from __future__ import annotations

import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbclient.util import ensure_async

if TYPE_CHECKING:
    from collections.abc import Callable

# What jupyter_client speaks; it translates for kernels of another ("Messaging in Jupyter").
PROTOCOL_VERSION = 5
# A connection that finds no kernel yet is tried again after so long; ZeroMQ's own 100 ms would be
# a tenth of a short run's time.
RECONNECT_MILLISECONDS = 5
# How long one question waits for a kernel that comes up, and then for its echo on the other
# channel, which may be connected too late to hear it, before it is put again.
REPLY_SECONDS = 1.0
ECHO_SECONDS = 0.02

# A cell that prints line by line would else fill the notebook with one output a line. Longer pieces
# are not joined, because joining copies them.
JOINED_CHARACTERS = 65_536


class Client(NotebookClient):  # type: ignore[misc]  # nbclient ships no types
    """A NotebookClient that tells what is printed and when the notebook changed."""

    def __init__(
        self,
        notebook: Any,
        *,
        printed: Callable[[str], None],
        changed: Callable[[], None],
        **traits: Any,
    ) -> None:
        super().__init__(notebook, **traits)
        self._printed = printed
        self._changed = changed

    async def async_start_new_kernel_client(self, **_options: Any) -> Any:
        """Connect to the kernel and return once it answers on both channels.

        As nbclient does it, but without its wait for 0.2 s of silence, and kernel_info is asked
        for once: the notebook's language_info is set from that answer.

        Raises:
            DeadKernelError: if the kernel ends before it answers.
            RuntimeError: if it has not answered after nbclient's startup_timeout.
        """
        self.kc = self.km.client()
        # It has a context of its own, which the manager's settings do not reach.
        self.kc.context.reconnect_ivl = RECONNECT_MILLISECONDS
        self.kc.start_channels()
        self.kc.allow_stdin = False
        reply = await self._kernel_info()
        protocol = int(reply["protocol_version"].split(".")[0])
        if protocol != PROTOCOL_VERSION:
            self.kc.session.adapt_version = protocol
        self.nb.metadata["language_info"] = reply["language_info"]
        return self.kc

    async def _kernel_info(self) -> Any:
        """Ask until the kernel answers and the other channel, connected by then, shows it idle."""
        asked = set()
        deadline = time.monotonic() + self.startup_timeout
        while True:
            asked.add(self.kc.kernel_info())
            try:
                reply = await ensure_async(self.kc.get_shell_msg(timeout=REPLY_SECONDS))
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
                raise RuntimeError(message)

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Handle a message of the kernel as nbclient does, and note the change."""
        if msg["msg_type"] != "status":
            self._changed()
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        """Add an output to a cell; a stream's text goes on where the last piece ended."""
        content = msg["content"]
        self._printed(_as_text(msg["msg_type"], content))
        last = outs[-1] if outs else None
        if (
            last is not None
            and msg["msg_type"] == "stream"
            and last.get("output_type") == "stream"
            and last.get("name") == content["name"]
            and len(last["text"]) < JOINED_CHARACTERS
            and not self.clear_before_next_output
            and not self.output_hook_stack[msg["parent_header"].get("msg_id")]
        ):
            last["text"] += content["text"]
            return last
        return super().output(outs, msg, display_id, cell_index)


def _as_text(kind: str, content: Any) -> str:
    """Return what a log shows of an output."""
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
