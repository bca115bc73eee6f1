"""The owner of runs. Pure, and quick to import: Jupyter's start needs it."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_kueue.domain import names, text_rules


@dataclass(frozen=True)
class Owner:
    """The owner's name, and its form for labels and keys."""

    name: str
    slug: str

    @classmethod
    def of(cls, name: str) -> Owner:
        """Return the owner of that user name."""
        shown = text_rules.shown_line(name, names.MAX_NAME_LENGTH)
        return cls(shown, names.owner_slug(name))
