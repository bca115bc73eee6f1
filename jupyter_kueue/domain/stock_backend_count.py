"""How much of jupyter-scheduler's own backend has not been imported: REST's fields, once. Pure."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from jupyter_kueue.domain.stored_types import Said


class StockBackendCount(TypedDict):
    """What `jupyter kueue import` has not imported yet."""

    database: Annotated[
        str | None,
        Field(
            description="Its file on the server's machine; null if there is none, or if that "
            "backend is in use."
        ),
    ]
    jobs: Annotated[
        int, Field(ge=0, description="Jobs that have ended and have not been imported.")
    ]
    schedules: Annotated[
        int, Field(ge=0, description="Job definitions that have not been imported.")
    ]
    problem: Annotated[str | None, Field(description="Why the file cannot be read.")]
    problem_sentence: Annotated[Said | None, Field(description="Of `problem`.")]
