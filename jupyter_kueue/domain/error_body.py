"""The body of an error, and of an answer that reports several. Pure."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from jupyter_kueue.domain.stored_types import Said


class Error(TypedDict):
    """What went wrong."""

    message: Annotated[str, Field(description="What is the case and what to do, for users.")]
    sentence: Annotated[
        Said | None, Field(description="Of `message`; null if `field_sentences` have it.")
    ]
    reason: Annotated[str, Field(description="A code.")]
    fields: Annotated[dict[str, str], Field(description="What is wrong with each bad field.")]
    field_sentences: Annotated[dict[str, Said | None], Field(description="Of each of `fields`.")]


class DeletionFailure(Error):  # noqa: N818 - a body, not an exception
    """A run, and the error that prevented its deletion."""

    run_id: str


class Deletion(TypedDict):
    """Which runs were deleted and which could not be."""

    deleted: list[str]
    failures: list[DeletionFailure]
