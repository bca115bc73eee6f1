"""The application in the Jupyter server that both extensions run in.

It is looked up at each use, so the order in which Jupyter loads the extensions does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jupyter_server.serverapp import ServerApp

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.service.application import SETTING

if TYPE_CHECKING:
    from jupyter_kueue.service.application import Application


def find_application() -> Application:
    """Return the application of jupyter-kueue's server extension.

    Raises:
        NotConfiguredError: the extension does not run in this server.
    """
    settings = ServerApp.instance().web_app.settings if ServerApp.initialized() else {}
    if SETTING not in settings:
        raise errors.NotConfiguredError(
            say(
                "extension-not-loaded",
                "The server extension jupyter_kueue is not loaded. Enable it with `jupyter "
                "server extension enable jupyter_kueue` and restart Jupyter.",
            )
        )
    return cast("Application", settings[SETTING])
