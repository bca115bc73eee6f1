"""Whose runs these are. Pure."""

from dataclasses import dataclass
from typing import Self

from jupyter_kueue.domain import names, text_rules
from jupyter_kueue.domain.field_types import MAX_NAME_LENGTH
from jupyter_kueue.domain.stored_types import Line, ShortText


@dataclass(frozen=True)
class Owner:
    """The name as people write it, and its form for labels and keys."""

    name: ShortText
    slug: Line

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the owner of that user name."""
        return cls(text_rules.shown_line(name, MAX_NAME_LENGTH), names.owner_slug(name))
