"""How much of jupyter-scheduler's own backend is still to be brought over by ``import``.

``server.stock_backend`` asks it for the panel, which asks once where there is nothing: an answer
must not be an older one. It reads the database in a thread, and nothing at all where there is none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyter_kueue.contract import sentences
from jupyter_kueue.domain import errors
from jupyter_kueue.storage.stock_database import StockDatabase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_kueue.domain.stock_backend_count import StockBackendCount
    from jupyter_kueue.service.application import Application
    from jupyter_kueue.storage.bucket import Bucket
    from jupyter_kueue.storage.stock_imports import StockImports

# Its key in the settings of the web application.
SETTING = "jupyter_kueue_stock_backend"


class StockBackend:
    """What it has that this package's lists do not show.

    ``find_database`` is asked each time, because jupyter-scheduler may be loaded later than this;
    None stands for a database that is no file, or one that is in use and shown.
    """

    def __init__(self, application: Application, find_database: Callable[[], Path | None]) -> None:
        self._application = application
        self._find_database = find_database
        self._known: tuple[Bucket, StockImports] | None = None

    async def count(self) -> StockBackendCount:
        """Return how much has not been imported yet.

        Raises:
            NotConfiguredError, UnavailableError: the bucket is not known, so neither is what was
                brought over.
        """
        self._application.check_possible()
        path = self._find_database()
        body: StockBackendCount = {
            "database": None,
            "jobs": 0,
            "schedules": 0,
            "problem": None,
            "problem_sentence": None,
        }
        if path is None:
            return body
        database = StockDatabase(path)
        try:
            jobs = await asyncio.to_thread(database.job_ids)
            definitions = await asyncio.to_thread(database.definition_ids)
        except errors.NotFoundError:
            return body
        except errors.JupyterKueueError as error:
            return {
                **body,
                "database": str(path),
                "problem": error.message,
                "problem_sentence": sentences.as_json(error.message),
            }
        body["database"] = str(path)
        if jobs or definitions:
            imported = await (await self._imports()).load()
            body["jobs"] = len(set(jobs) - imported.jobs)
            body["schedules"] = len(set(definitions) - imported.definitions)
        return body

    async def _imports(self) -> StockImports:
        # Slow to import, and needed only where there is something to count.
        from jupyter_kueue.storage.stock_imports import StockImports  # noqa: PLC0415

        bucket = await self._application.known_bucket()
        if self._known is None or self._known[0] is not bucket:
            self._known = (bucket, StockImports(bucket, self._application.owner.slug))
        return self._known[1]
