"""Makes this package jupyter-scheduler's backend, with no configuration by its users.

``etc/jupyter/jupyter_jupyter_scheduler_config.py`` calls it: the one file of its own configuration
that jupyter-scheduler reads where packages may put it.
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
    """Fill in jupyter-scheduler's configuration, unless the setting ``scheduler_backend`` is off.

    A configuration that is not usable does not count as off: whoever submits is told about it.
    """
    server_config = ServerApp.instance().config if ServerApp.initialized() else None
    try:
        if not config.load(server_config).scheduler_backend:
            return
    except errors.NotConfiguredError:
        # The server extension logs it and tells it to everybody.
        pass
    app = scheduler_config.SchedulerApp
    app.scheduler_class = f"{_PACKAGE}.KueueScheduler"
    app.environment_manager_class = f"{_PACKAGE}.KueueEnvironmentManager"
    app.job_files_manager_class = f"{_PACKAGE}.KueueJobFilesManager"
    # It opens its database whether it is used or not, and fails where the folder does not exist.
    app.db_url = "sqlite://"
