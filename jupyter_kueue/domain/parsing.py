"""Parses JSON as a declared type, with an error for every invalid field.

Pure. ``parse`` is for what users send: unknown fields are refused, and all errors are reported at
once, in sentences that follow a field's name. ``read_back`` is for documents in the bucket: it
ignores fields of later versions and stops at the first difference.
"""

from __future__ import annotations

import dataclasses
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import errors, text_rules
from jupyter_kueue.domain.field_types import STORED, FieldsError, kind_of, shown_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from pydantic_core import ErrorDetails

    from jupyter_kueue.contract.sentences import Sentence

T = TypeVar("T")

# Pydantic's error types, for a dataclass and a TypedDict
# (https://docs.pydantic.dev/latest/errors/validation_errors/).
_MISSING = ("missing", "missing_argument")
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")


class Kind(Generic[T]):
    """A declared type, compiled for many documents."""

    def __init__(
        self,
        declared: type[T],
        check: Callable[[T], T] | None = None,
        *,
        absent_is_null: bool = False,
    ) -> None:
        """Create it.

        Args:
            declared: a dataclass or a TypedDict.
            check: raises ValueError for problems that no single field shows.
            absent_is_null: whether nullable fields of a TypedDict may be missing: rows stored by an
                earlier version lack new fields.
        """
        self._declared = declared
        self._check = check
        self._absent = (
            {name: None for name, hint in get_type_hints(declared).items() if _takes_null(hint)}
            if absent_is_null
            else {}
        )
        self._made: TypeAdapter[T] | None = None

    @property
    def adapter(self) -> TypeAdapter[T]:
        """Validates and describes the type; created on first use, which takes long."""
        if self._made is None:
            self._made = TypeAdapter(self._declared)
        return self._made

    @property
    def fields(self) -> AbstractSet[str]:
        """The names of a dataclass's fields."""
        return {item.name for item in dataclasses.fields(self._declared)}  # type: ignore[arg-type]

    def read_back(self, document: Any) -> T:
        """Return the content of a stored document.

        Raises:
            ValueError: it is invalid; the message names the first difference.
        """
        try:
            if self._absent and isinstance(document, dict):
                document = {**self._absent, **document}
            read = self.adapter.validate_python(document, extra="ignore", context=STORED)
        except ValidationError as error:
            raise ValueError(_difference(error.errors(include_url=False)[0])) from None
        return read if self._check is None else self._check(read)


def read_back(kind: Kind[T], what: str, document: Any) -> T:
    """Return the content of a document in the bucket.

    Raises:
        UnreadableError: it is invalid; the message names ``what`` and the first difference.
    """
    try:
        return kind.read_back(document)
    except ValueError as error:
        raise errors.UnreadableError(
            say(
                "record-not-understood",
                "The record of the {what} cannot be understood: {difference}.",
                what=what,
                difference=str(error),
            )
        ) from None


def _takes_null(hint: Any) -> bool:
    return NoneType in get_args(hint)


def parse(
    kind: Kind[T],
    body: Mapping[str, Any],
    *,
    below: str = "",
    missing: Mapping[str, Sentence] | None = None,
    unknown: Mapping[str, Sentence] | None = None,
    wrong: Mapping[str, Sentence] | None = None,
    is_null_default: bool = True,
) -> T:
    """Return the content of a user's JSON object.

    Args:
        kind: a dataclass.
        body: what was sent.
        below: the field whose value ``body`` is, empty for a whole body.
        missing: messages for required fields, by name.
        unknown: messages for unknown fields, by the name of the field that contains them.
        wrong: problems that are already known, by field.
        is_null_default: whether null means the default; otherwise null is invalid.

    Raises:
        InvalidRequestError: naming every field that is missing, unknown or wrong.
    """
    said_of = _unknown_fields(kind, body, below, unknown or {})
    given = {key: value for key, value in body.items() if key in kind.fields}
    if not is_null_default:
        for key in [key for key, value in given.items() if value is None]:
            said_of[_name(below, shown_key(key))] = say(
                "field-no-text-but", "must be text, not {kind}", kind=kind_of(None)
            )
    given = {key: value for key, value in given.items() if value is not None}
    read: T | None = None
    try:
        read = kind.adapter.validate_python(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            for field, said in said_of_field(detail, missing or {}, unknown or {}).items():
                said_of.setdefault(_name(below, field), said)
    for field, said in (wrong or {}).items():
        said_of.setdefault(field, said)
    if said_of or read is None:
        raise errors.InvalidRequestError(said_of)
    return read


def check_part(
    kind: Kind[Any],
    part: Mapping[str, Any],
    *,
    unknown: Mapping[str, Sentence] | None = None,
    wrong: Mapping[str, Sentence] | None = None,
) -> None:
    """Check some fields of an object whose other fields are known already.

    Args:
        kind: a dataclass.
        part: the fields as sent; null stands for the default.
        unknown: what to say of a field that is none, by the name of the field it is in.
        wrong: what is wrong already, by field.

    Raises:
        InvalidRequestError: naming every field that is unknown or wrong.
    """
    said_of = {**(wrong or {}), **_unknown_fields(kind, part, "", unknown or {})}
    given = {key: part[key] for key in part if key in kind.fields and part[key] is not None}
    try:
        kind.adapter.validate_python(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            # The fields that this object must have are among the others.
            if detail["type"] not in _MISSING:
                for field, said in said_of_field(detail, {}, unknown or {}).items():
                    said_of.setdefault(field, said)
    if said_of:
        raise errors.InvalidRequestError(said_of)


def _unknown_fields(
    kind: Kind[Any], body: Mapping[str, Any], below: str, unknown: Mapping[str, Sentence]
) -> dict[str, Sentence]:
    known = kind.fields
    return {
        _name(below, shown_key(key)): unknown.get(below)
        or say("field-unknown", "is an unknown field; known fields: {fields}", fields=sorted(known))
        for key in sorted(body.keys() - known, key=str)
    }


def _name(below: str, field: str) -> str:
    return f"{below}.{field}" if below else field


def said_of_field(
    detail: ErrorDetails, missing: Mapping[str, Sentence], unknown: Mapping[str, Sentence]
) -> dict[str, Sentence]:
    """Return what one of pydantic's errors says, by the field's name as the user wrote it.

    ``missing`` and ``unknown`` are those of ``parse``.
    """
    *place, _ = parts = [shown_key(part) for part in detail["loc"]]
    field = ".".join(parts)
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, FieldsError):
        return {f"{field}.{name}": said for name, said in raised.fields.items()}
    if isinstance(raised, ValueError):
        return {field: sentences.of_error(raised)}
    if detail["type"] in _MISSING:
        return {field: missing.get(field) or say("field-required", "is required")}
    if detail["type"] in _UNKNOWN:
        return {field: unknown.get(".".join(place)) or say("field-no-field", "is not a field")}
    return {field: foreign(detail["msg"])}


def _difference(detail: ErrorDetails) -> str:
    """Return the first difference of a document, in words."""
    where = "".join(
        f"[{part}]" if isinstance(part, int) else f".{shown_key(part)}" for part in detail["loc"]
    )
    is_missing = detail["type"] in _MISSING
    return f"{where.lstrip('.') or 'it'} is {'missing' if is_missing else _shown(detail['input'])}"


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, dict | list):
        return f"{kind_of(value)} that does not fit"
    return text_rules.shown_line(repr(value[:60] if isinstance(value, str) else value), 60)
