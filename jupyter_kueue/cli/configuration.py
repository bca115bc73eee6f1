"""Jupyter's configuration files, read as the servers read them, for commands that need settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_core.application import JupyterApp

if TYPE_CHECKING:
    from traitlets.config import Config

# Where a server and its two extensions are configured. What stands last wins: a server's own file
# counts more than those of its extensions, as ExtensionApp has it.
_FILES = (
    "jupyter_config",
    "jupyter_jupyter_scheduler_config",
    "jupyter_jupyter_kueue_config",
    "jupyter_server_config",
)


def load() -> Config:
    """Return what the user's and the machine's configuration files say; a broken one is logged."""
    app = JupyterApp()
    for name in _FILES:
        # JupyterApp's own method would read the files of one application alone.
        super(JupyterApp, app).load_config_file(name, path=app.config_file_paths)
    return app.config
