"""The backend of jupyter-scheduler's download button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_scheduler.job_files_manager import JobFilesManager

from jupyter_kueue.domain import names
from jupyter_kueue.scheduler.automatic_downloads import AutomaticDownloads
from jupyter_kueue.scheduler.downloads import Downloads

if TYPE_CHECKING:
    from jupyter_kueue.scheduler.scheduler import KueueScheduler


class KueueJobFilesManager(JobFilesManager):
    """Downloads runs' files: on request, and when a run of this server's root folder ends."""

    def __init__(self, scheduler: KueueScheduler) -> None:
        super().__init__(scheduler)
        self._downloads = Downloads(scheduler)
        AutomaticDownloads(scheduler, self._downloads).start()

    async def copy_from_staging(self, job_id: str, redownload: bool | str | None = False) -> None:
        """Download a run's files; return when they are there.

        Raises:
            SchedulerError: with the reason, if not everything that was requested is there.
        """
        # The handler passes the query parameter as it is: "false" is a text.
        again = str(redownload).lower() in ("true", "1")
        await self._downloads.fetch(names.plain_id(job_id), again=again)
