"""The choices in jupyter-scheduler's dialog: environments, compute types, output formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jupyter_scheduler.environments import EnvironmentManager
from jupyter_scheduler.models import RuntimeEnvironment

from jupyter_kueue.domain import errors
from jupyter_kueue.scheduler import output_formats, running_server
from jupyter_kueue.service.environments import DEFAULT_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_kueue.domain.choices import Choice
    from jupyter_kueue.service.application import Application

Entry = TypeVar("Entry", bound="Choice")


class KueueEnvironmentManager(EnvironmentManager):
    """The service's images and profiles, in jupyter-scheduler's terms.

    ``kueue`` defaults to the application of the running server, because jupyter-scheduler passes
    none.
    """

    def __init__(self, kueue: Application | None = None) -> None:
        self._kueue = kueue

    async def list_environments(self) -> list[RuntimeEnvironment]:
        """Return the environments, the default one first; never an empty list.

        An empty list would leave the dialog at "Loading" forever. Without a cluster there is one
        environment whose description says what is missing, as does the error of a submit.
        """
        try:
            offers = await (self._kueue or running_server.find_application()).environments()
            environments = await offers.list_environments()
            profiles = await offers.list_profiles()
        except errors.JupyterKueueError as error:
            return [_environment(DEFAULT_ENVIRONMENT, error.message, None, [])]
        sizes = [profile["name"] for profile in _default_first(profiles)]
        if not environments:
            no_image = "No image is set for notebooks."
            return [_environment(DEFAULT_ENVIRONMENT, no_image, None, sizes)]
        return [
            _environment(item["name"], item["description"], item["image"], sizes)
            for item in _default_first(environments)
        ]

    def manage_environments_command(self) -> str:
        """Return an empty text: JupyterLab has no command that manages images."""
        return ""

    def output_formats_mapping(self) -> dict[str, str]:
        """Return every format and its display name."""
        return dict(output_formats.labels())


def _default_first(entries: Sequence[Entry]) -> list[Entry]:
    # The dialog selects the first one, whatever the declared default.
    return sorted(entries, key=lambda entry: not entry["default"])


def _environment(
    name: str, description: str, image: str | None, sizes: list[str]
) -> RuntimeEnvironment:
    return RuntimeEnvironment(
        name=name,
        # The dialog looks environments up by name and submits the label.
        label=name,
        description=description or name,
        file_extensions=["ipynb"],
        output_formats=list(output_formats.offered()),
        metadata=None if image is None else {"image": image},
        compute_types=sizes or None,
        default_compute_type=sizes[0] if sizes else None,
        utc_only=False,
    )
