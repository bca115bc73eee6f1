"""nbclient's client with our two wishes: see outputs as they come, and keep streams in few pieces.

Used by ``cells`` alone. It needs nbclient, so it is imported only when a notebook runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Callable

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
