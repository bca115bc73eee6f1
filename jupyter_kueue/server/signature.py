"""Which models a handler takes and answers, from its annotations.

They are names (``from __future__ import annotations``), so that importing a handler does not import
the models; ``server.models`` is loaded when a signature is asked for first.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


# Nothing, and an object that may hold anything.
_NO_MODEL = ("None", "dict[str, Any]")


@dataclass(frozen=True)
class Signature:
    """The models of one handler; None where it has none."""

    query: type | None
    body: type | None
    answer: type | None


@functools.cache
def signature_of(handler: Callable[..., Awaitable[Any]]) -> Signature:
    """Return the models that a handler's annotations name."""
    # Slow to import: Jupyter's start must not pay for it.
    from jupyter_kueue.server import models  # noqa: PLC0415

    def model(parameter: str) -> type | None:
        name = handler.__annotations__.get(parameter, "None")
        return None if name in _NO_MODEL else getattr(models, name)

    return Signature(model("query"), model("body"), model("return"))
