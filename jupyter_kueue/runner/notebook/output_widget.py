"""The output widget of a notebook (ipywidgets.Output), as nbclient plays a front end's part in it.

Used by ``kernel_client`` alone. nbclient sends the kernel all outputs of the widget after each one,
and copies a stream's text for each piece: a thousand pieces cost a thousand times what is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient.output_widget import OutputWidget as StockOutputWidget
from nbformat.v4 import output_from_msg

from jupyter_kueue.runner.notebook import streams

if TYPE_CHECKING:
    from collections.abc import Callable


class OutputWidget(StockOutputWidget):  # type: ignore[misc]  # nbclient ships no types
    """Keeps what is put out inside the widget, and tells the kernel when ``tell`` is called.

    The kernel looks at the message once the cell that runs has ended, so that is soon enough.
    """

    outputs: list[Any]
    clear_before_next_output: bool

    def __init__(
        self, comm_id: str, state: Any, client: Any, executor: Any, behind: Callable[[Any], None]
    ) -> None:
        """As nbclient's. ``behind`` is called when the kernel does not know of all outputs."""
        super().__init__(comm_id, state, client, executor)
        self._behind = behind

    def sync_state(self) -> None:
        """Note that there is something to tell."""
        self._behind(self)

    def tell(self) -> None:
        """Send the kernel all outputs of the widget."""
        super().sync_state()

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> None:
        """Take an output in; a stream's text goes on where the last piece ended."""
        del outs, display_id, cell_index
        if self.clear_before_next_output:
            self.outputs = []
            self.clear_before_next_output = False
        self.parent_header = msg["parent_header"]
        output = output_from_msg(msg)
        last = self.outputs[-1] if self.outputs else {}
        if output["output_type"] == "stream" and streams.is_joined(last, output["name"]):
            last["text"] += output["text"]
        else:
            self.outputs.append(output)
        self.sync_state()
        self.executor.widget_state[self.comm_id]["outputs"] = self.outputs
