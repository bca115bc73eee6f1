"""The responses that are being streamed, so that they end when the server stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

# Its key in the settings of the web application.
SETTING = "jupyter_kueue_streams"


class Streams(set["asyncio.Future[None]"]):
    """The open ones."""

    def end_all(self) -> None:
        """End all of them, including those that would never end."""
        for stream in tuple(self):
            stream.cancel()
