"""jupyter-scheduler's backend: its dialog, its lists and its API, with runs that wait in Kueue.

A thin translation to ``service``: requests are converted from jupyter-scheduler's terms
(``job_models``, ``definition_models``), answers back to them, and nothing is stored. Only
``downloads`` goes beyond that: it brings outputs into the user's folder. docs/jupyter-scheduler.md
lists what differs from upstream.
"""

from jupyter_kueue.scheduler.environments import KueueEnvironmentManager
from jupyter_kueue.scheduler.execution_manager import KueueExecutionManager
from jupyter_kueue.scheduler.job_files_manager import KueueJobFilesManager
from jupyter_kueue.scheduler.scheduler import KueueScheduler

__all__ = [
    "KueueEnvironmentManager",
    "KueueExecutionManager",
    "KueueJobFilesManager",
    "KueueScheduler",
]
