"""The output widget (ipywidgets.Output), with the part of a front end that nbclient plays.

nbclient sends all outputs of the widget to the kernel after each one, and copies a stream's text
for each piece, so that a thousand pieces cost a thousand times the total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient.output_widget import OutputWidget as StockOutputWidget
from nbformat.v4 import output_from_msg

from jupyter_kueue.runner.notebook import streams

if TYPE_CHECKING:
    from collections.abc import Callable


class OutputWidget(StockOutputWidget):  # type: ignore[misc]  # nbclient ships no types
    """Collects the outputs captured by the widget, and sends them when ``tell`` is called.

    That is soon enough: the kernel handles the message only after the running cell has ended.
    """

    outputs: list[Any]
    clear_before_next_output: bool

    def __init__(
        self, comm_id: str, state: Any, client: Any, executor: Any, behind: Callable[[Any], None]
    ) -> None:
        """Create the widget; ``behind`` is called when the kernel lacks some of its outputs."""
        super().__init__(comm_id, state, client, executor)
        self._behind = behind

    def sync_state(self) -> None:
        """Note that the kernel lacks some outputs."""
        self._behind(self)

    def tell(self) -> None:
        """Send the kernel all outputs of the widget."""
        super().sync_state()

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> None:
        """Add an output; text of a stream is appended to the previous piece."""
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
