"""Jupyter's configuration files, read as servers read them, for commands that need settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_core.application import JupyterApp

if TYPE_CHECKING:
    from traitlets.config import Config

# The files of a server and its two extensions. Later ones override earlier ones: as in
# ExtensionApp, the server's own file comes last.
_FILES = (
    "jupyter_config",
    "jupyter_jupyter_scheduler_config",
    "jupyter_jupyter_kueue_config",
    "jupyter_server_config",
)


def load() -> Config:
    """Return the user's and the machine's configuration; an invalid file is logged."""
    app = JupyterApp()
    for name in _FILES:
        # JupyterApp's own method would read the files of only one application.
        super(JupyterApp, app).load_config_file(name, path=app.config_file_paths)
    return app.config
