"""jupyter-scheduler's backend: its dialog, its lists and its API, with runs that wait in Kueue.

Thin translation to ``service``: jupyter-scheduler's words are turned into ours at the way in
(``job_models``, ``definition_models``) and back at the way out, and nothing is kept here. The one
thing this package does by itself is to bring outputs into the user's folder (``downloads``).
docs/jupyter-scheduler.md says what is the same as upstream and what is not.
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
