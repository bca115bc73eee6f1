"""How a kernel is talked to, with a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
import zmq
from jupyter_client.manager import AsyncKernelManager

from jupyter_kueue.runner.notebook import kernel_client

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.programs


async def test_a_kernel_that_is_not_there_yet_is_looked_for_again_soon(tmp_path: Path) -> None:
    client = kernel_client.Client(
        nbformat.v4.new_notebook(),
        max_output_bytes=2**20,
        printed=lambda _text: None,
        said=lambda _text: None,
        extended=lambda _cell: None,
        changed=lambda _cell: None,
    )
    client.km = AsyncKernelManager(kernel_name="python3")
    await client.km.start_kernel(cwd=str(tmp_path))
    try:
        channels = await client.async_start_new_kernel_client()
        for channel in (channels.shell_channel, channels.iopub_channel):
            pause = channel.socket.getsockopt(zmq.RECONNECT_IVL)
            assert pause == kernel_client.RECONNECT_MILLISECONDS
        channels.stop_channels()
    finally:
        await client.km.shutdown_kernel(now=True)
