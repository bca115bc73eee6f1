"""Profiles and environments as lists show them: REST's fields, once. Pure."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from jupyter_kueue.domain.page import Page


class Choice(TypedDict):
    """What a request names."""

    name: Annotated[str, Field(description="What a request calls it.")]
    display_name: Annotated[str, Field(description="What people see.")]
    description: Annotated[str, Field(description="May be empty.")]
    default: Annotated[bool, Field(description="Whether a request that names none gets it.")]


class Profile(Choice):
    """A size that runs can have."""

    cpu: Annotated[str, Field(description="CPUs, as a Kubernetes quantity.")]
    memory: Annotated[str, Field(description="Memory, as a Kubernetes quantity.")]
    gpus: Annotated[int, Field(ge=0, description="Whole GPUs.")]


class ProfileList(Page):
    """The profiles, by name."""

    items: Sequence[Profile]


class Environment(Choice):
    """An image that notebooks can run in."""

    image: Annotated[str, Field(description="The container image.")]


class EnvironmentList(Page):
    """The environments, by name."""

    items: Sequence[Environment]
