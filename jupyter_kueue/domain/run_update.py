"""The changes that a run allows after its submit. Pure."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.field_types import LocalQueueName, Name, PriorityClassName, Tags
from jupyter_kueue.domain.parsing import Kind, parse
from jupyter_kueue.domain.run_documents import Meta


@dataclass(frozen=True)
class RunUpdate:
    """The fields to change; ``None`` leaves a field unchanged."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[Name | None, Field(description="At any time.")] = None
    tags: Annotated[Tags | None, Field(description="At any time.")] = None
    local_queue: Annotated[LocalQueueName | None, Field(description="Only while it is queued.")] = (
        None
    )
    priority_class: Annotated[
        PriorityClassName | None, Field(description="Only until it has ended.")
    ] = None

    def as_meta(self) -> Meta:
        """Return the changes of ``meta.json``."""
        changed: Meta = {}
        if self.name is not None:
            changed["name"] = self.name
        if self.tags is not None:
            changed["tags"] = list(self.tags)
        if self.local_queue is not None:
            changed["local_queue"] = self.local_queue
        if self.priority_class is not None:
            changed["priority_class"] = self.priority_class
        return changed


KIND = Kind(RunUpdate)
FIELDS = tuple(item.name for item in fields(RunUpdate))


def parse_run_update(body: Any) -> RunUpdate:
    """Parse a JSON body as a RunUpdate.

    Raises:
        InvalidRequestError: naming every field that is unknown or wrong.
    """
    if not isinstance(body, dict) or not body:
        raise errors.InvalidRequestError(
            {
                "body": say(
                    "send-object-with-fields",
                    "send a JSON object with one or more of {fields}",
                    fields=FIELDS,
                )
            }
        )
    fixed = say("cannot-be-changed", "cannot be changed; only {fields} can", fields=FIELDS)
    return parse(KIND, body, unknown={"": fixed}, is_null_default=False)
