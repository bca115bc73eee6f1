"""Makes this package jupyter-scheduler's backend, without configuration by users.

``etc/jupyter/jupyter_jupyter_scheduler_config.py`` calls it: the only configuration file that
jupyter-scheduler reads from a place where packages can install one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.serverapp import ServerApp

from jupyter_kueue import config
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from traitlets.config import Config

_PACKAGE = "jupyter_kueue.scheduler"


def configure(scheduler_config: Config) -> None:
    """Complete jupyter-scheduler's configuration, unless the setting ``scheduler_backend`` is off.

    An invalid configuration does not count as off: users see its error when they submit.
    """
    server_config = ServerApp.instance().config if ServerApp.initialized() else None
    try:
        if not config.load(server_config).scheduler_backend:
            return
    except errors.NotConfiguredError:
        # The server extension logs it and reports it to users.
        pass
    app = scheduler_config.SchedulerApp
    app.scheduler_class = f"{_PACKAGE}.KueueScheduler"
    app.environment_manager_class = f"{_PACKAGE}.KueueEnvironmentManager"
    app.job_files_manager_class = f"{_PACKAGE}.KueueJobFilesManager"
    # jupyter-scheduler always opens its database, and fails if the folder does not exist.
    app.db_url = "sqlite://"
