"""Which schedules a list shows: the query parameters of ``GET schedules``, once. Pure."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.query_types import (
    Limit,
    ListCursor,
    QueryFlag,
    SearchText,
    both_ways,
    wrong_with_page,
)

SortField = Literal["created_at", "updated_at", "name", "next_run_at"]
SORT_FIELDS: tuple[SortField, ...] = get_args(SortField)


@dataclass(frozen=True)
class ScheduleQuery:
    """Which schedules a list shows. Empty tuples and None do not filter."""

    active: Annotated[
        QueryFlag | None,
        Field(description="true: those that fire; false: those that are paused or have ended."),
    ] = None
    local_queues: Annotated[
        tuple[str, ...], Field(alias="local_queue", description="Repeatable.")
    ] = ()
    text: SearchText | None = None
    sort: Annotated[
        str,
        Field(
            description="A field, with `-` in front for descending order.",
            json_schema_extra=both_ways(SORT_FIELDS),
        ),
    ] = "-created_at"
    limit: Limit = 50
    cursor: ListCursor | None = None

    def check(self) -> None:
        """Raise InvalidRequestError naming each field that is out of bounds."""
        wrong = wrong_with_page(self.sort, self.limit, SORT_FIELDS)
        if wrong:
            raise errors.InvalidRequestError(wrong)
