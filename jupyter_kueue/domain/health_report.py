"""What was found of the setup and what is missing: REST's fields, once. Pure."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from jupyter_kueue.domain.stored_types import Said

Severity = Literal["error", "warning"]


class Problem(TypedDict):
    """Something that is missing or wrong, and how to fix it."""

    what: Annotated[str, Field(description="What is wrong.")]
    what_sentence: Annotated[Said | None, Field(description="Of `what`.")]
    fix: Annotated[str, Field(description="What to do, and who can do it.")]
    fix_sentence: Annotated[Said | None, Field(description="Of `fix`.")]
    severity: Annotated[
        Severity,
        Field(description="`error`: runs cannot be submitted or followed."),
    ]
    reason: Annotated[str | None, Field(description="The code of the error behind it, or null.")]


class KubernetesFound(TypedDict):
    """The cluster."""

    host: Annotated[str | None, Field(description="The address of its API server.")]
    version: str | None
    supported: Annotated[bool | None, Field(description="null if the version is unknown.")]


class KueueFound(TypedDict):
    """Kueue in that cluster."""

    installed: bool | None
    version: Annotated[
        str | None,
        Field(description="From its image's tag; null if this user may not see it."),
    ]
    supported: Annotated[
        bool | None, Field(description="Whether it serves the API version in use.")
    ]
    tested_with: Annotated[str, Field(description="The version that this one was tested with.")]
    position_api: Annotated[
        bool | None, Field(description="Whether it says where runs stand in a ClusterQueue.")
    ]


class BucketFound(TypedDict):
    """The bucket."""

    name: Annotated[str | None, Field(description="Its address, without credentials.")]
    ok: Annotated[bool | None, Field(description="Whether it answers as it must.")]


@with_config(ConfigDict(extra="allow"))
class ShownSettings(TypedDict, total=False):
    """The settings in force, without credentials: these, and the others of docs/configuration.md.

    It is empty if the settings are invalid.
    """

    local_queue: Annotated[str | None, Field(description="The queue of runs that name none.")]
    staging_cpu: Annotated[str, Field(description="CPUs that each staging container requests.")]
    staging_memory: Annotated[
        str, Field(description="Memory that each staging container requests.")
    ]


class Health(TypedDict):
    """What was found, what is missing and how to fix it."""

    ok: Annotated[bool, Field(description="Whether no problem is an `error`.")]
    version: Annotated[str, Field(description="Of jupyter-kueue.")]
    owner: Annotated[str | None, Field(description="Whose runs this server shows.")]
    namespace: str | None
    kubernetes: KubernetesFound
    kueue: KueueFound
    bucket: BucketFound
    settings: Annotated[
        ShownSettings, Field(description="The settings in force, without credentials.")
    ]
    problems: list[Problem]
