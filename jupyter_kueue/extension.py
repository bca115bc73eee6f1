"""The Jupyter server extension: creates the application, its routes and its events, and ends them.

Jupyter loads it at start, whatever is missing: the routes and ``health`` report a bad setting or an
unavailable cluster or bucket, and none of these keeps Jupyter from starting. Kubernetes, bucket and
notebook libraries are imported later, because they would slow Jupyter's start.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp

from jupyter_kueue import config
from jupyter_kueue.config import JupyterKueue, Settings
from jupyter_kueue.domain import errors
from jupyter_kueue.events import run_state
from jupyter_kueue.server import routes, streams
from jupyter_kueue.server.streams import Streams
from jupyter_kueue.service import application, stock_backend
from jupyter_kueue.service.application import Application
from jupyter_kueue.service.stock_backend import StockBackend
from jupyter_kueue.storage import stock_database


class KueueExtension(ExtensionApp):
    """jupyter-kueue in a Jupyter server. Its settings are ``c.JupyterKueue.*``."""

    name = "jupyter_kueue"
    classes = [JupyterKueue]  # noqa: RUF012 - as ExtensionApp declares it

    def initialize_settings(self) -> None:
        """Create the application from the configuration; it connects when the server starts."""
        server: Any = self.serverapp
        settings: Settings | errors.NotConfiguredError
        try:
            settings = config.load(self.config)
        except errors.NotConfiguredError as error:
            self.log.error("%s", error)  # noqa: TRY400 - the message is all there is to say
            settings = error
        else:
            _set_up_logging(settings.log_format, self.log.level)
        self._kueue = Application(
            settings,
            Path(server.root_dir),
            # Files that the contents API hides are not part of a run.
            allow_hidden=bool(getattr(server.contents_manager, "allow_hidden", False)),
        )
        self._streams = Streams()
        self.settings[application.SETTING] = self._kueue
        self.settings[streams.SETTING] = self._streams
        self.settings[stock_backend.SETTING] = StockBackend(
            self._kueue, partial(_stock_database, server)
        )
        if self._kueue.failure is None:
            run_state.emit_changes(self._kueue.changes, server.event_logger)

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self.handlers.extend(routes.handlers())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002 - Jupyter's signature
        """Begin to connect, once the event loop runs; return at once."""
        await self._kueue.start()

    async def stop_extension(self) -> None:
        """End streams and background tasks. The runs continue."""
        self._streams.end_all()
        await self._kueue.stop()


def _stock_database(server: Any) -> Path | None:
    """Return the database of jupyter-scheduler's own backend; None if that backend is in use.

    Called once the server runs, when Jupyter has loaded all its extensions.
    """
    db_url: str | None = None
    for app in server.extension_manager.extension_apps.get("jupyter_scheduler", ()):
        if not app.scheduler_class.__module__.startswith(f"{__package__}."):
            return None
        db_url = app.db_url
    return stock_database.find_path(db_url, Path(jupyter_data_dir()))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _set_up_logging(log_format: str, level: int) -> None:
    """Write this package's log lines to standard error, as Jupyter does."""
    log = logging.getLogger("jupyter_kueue")
    log.setLevel(level)
    if log_format == "json":
        formatter: logging.Formatter = _JsonFormatter()
    else:
        formatter = logging.Formatter("[%(levelname).1s %(asctime)s %(name)s] %(message)s")
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
    for handler in log.handlers:
        handler.setFormatter(formatter)
