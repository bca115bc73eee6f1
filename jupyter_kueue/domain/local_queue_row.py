"""A LocalQueue as lists show it: REST's fields, once. Pure."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from jupyter_kueue.domain.page import Page
from jupyter_kueue.domain.stored_types import Said

# Cores, bytes or pieces; whole numbers stay whole.
Amount = int | float


class ResourceUsage(TypedDict):
    """Amounts of one resource, in cores, bytes or pieces; null if this user may not read one."""

    used: Annotated[Amount, Field(description="Used through this queue.")]
    cluster_queue_used: Annotated[
        Amount | None, Field(description="Used through all queues of its ClusterQueue.")
    ]
    nominal: Annotated[Amount | None, Field(description="What the ClusterQueue owns.")]
    borrowed: Annotated[
        Amount | None, Field(description="What the ClusterQueue uses beyond `nominal`.")
    ]
    limit: Annotated[
        Amount | None, Field(description="What the ClusterQueue can have with borrowing.")
    ]
    free: Annotated[
        Amount | None,
        Field(
            description="What another run could get now, borrowed or not, without displacing "
            "anyone."
        ),
    ]
    reclaimable: Annotated[
        Amount | None,
        Field(description="What others borrow from the ClusterQueue and it can take back."),
    ]


class LocalQueue(TypedDict):
    """A queue that runs can go to."""

    name: Annotated[str, Field(description="Its name in the namespace.")]
    cluster_queue: Annotated[str, Field(description="The ClusterQueue that it points to.")]
    active: Annotated[bool, Field(description="Whether it accepts runs.")]
    message: Annotated[str | None, Field(description="Why it does not accept runs.")]
    sentence: Annotated[Said | None, Field(description="Of `message`.")]
    pending: Annotated[int, Field(ge=0, description="How many runs wait for quota.")]
    admitted: Annotated[int, Field(ge=0, description="How many runs have their quota.")]
    resources: Annotated[
        dict[str, ResourceUsage],
        Field(description="By resource, in cores, bytes or pieces."),
    ]


class LocalQueueList(Page):
    """The queues of the namespace, by name."""

    items: Sequence[LocalQueue]
