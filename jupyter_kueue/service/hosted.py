"""The application as its Jupyter server holds it, for all that reach it from there.

``extension`` fills it; REST handlers and jupyter-scheduler's backend ask it, in whatever order
Jupyter loaded them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.service.application import Application
    from jupyter_kueue.service.stock_backend import StockBackend

# Where it is among the settings of the server's web application.
SETTING = "jupyter_kueue_service"

# How long a request waits for a server that has just started, and how often it looks.
_PATIENCE_SECONDS = 8.0
_LOOK_SECONDS = 0.05


@dataclass
class Service:
    """What the handlers reach, filled by the extension once it is there.

    Attributes:
        application: None until it is loaded, or for good if the configuration is not usable.
        stock_backend: None as long as there is no application.
        problem: why there will be no application.
        streams: answers that are being sent bit by bit; ended when the server stops.
    """

    application: Application | None = None
    stock_backend: StockBackend | None = None
    problem: errors.JupyterKueueError | None = None
    streams: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def kueue(self) -> Application:
        """The application. What is asked of it raises as long as cluster or bucket are missing.

        Raises:
            NotConfiguredError: the configuration is not usable; the message says why.
        """
        if self.application is None:
            raise self.problem or errors.UnavailableError(
                say("starting-try-again", "jupyter-kueue is starting; try again in a moment.")
            )
        return self.application

    async def connected(self) -> Application:
        """Return the application, after a moment's patience with one that is just connecting."""
        application = self.kueue
        waited = 0.0
        while (
            application.connection is None
            and application.problem is None
            and waited < _PATIENCE_SECONDS
        ):
            await asyncio.sleep(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        return application

    def end_streams(self) -> None:
        """End every answer that would go on for ever."""
        for stream in tuple(self.streams):
            stream.cancel()
