"""Dataclasses as stored JSON documents. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def json_of(value: DataclassInstance) -> dict[str, Any]:
    """Return a dataclass as plain JSON: tuples become lists, nested dataclasses objects."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(value)))
    return plain


def digest(value: DataclassInstance) -> str:
    """Return 16 hexadecimal digits that identify the content of a dataclass."""
    content = json.dumps(json_of(value), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
