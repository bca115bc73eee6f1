"""What every list answers beside its items. Pure."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12


class Page(TypedDict):
    """A page of a list; each list adds its ``items``."""

    total: Annotated[int, Field(ge=0, description="How many there are in total.")]
    next_cursor: Annotated[
        str | None, Field(description="`cursor` of the next page, null on the last.")
    ]
