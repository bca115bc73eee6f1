"""Reads JSON as a declared type, and says of every field that is wrong what is wrong with it.

Pure. ``parse`` is for what users send: unknown fields are refused and all errors are said at once,
in sentences that follow a field's name. ``read_back`` is for what lies in the bucket: fields of
later versions are passed over, and the first difference is enough.
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

# Pydantic's names of errors, of a dataclass and of a TypedDict
# (https://docs.pydantic.dev/latest/errors/validation_errors/).
_MISSING = ("missing", "missing_argument")
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")


class Kind(Generic[T]):
    """A declared type made ready for many documents."""

    def __init__(
        self,
        declared: type[T],
        check: Callable[[T], T] | None = None,
        *,
        absent_is_null: bool = False,
    ) -> None:
        """Make it.

        Args:
            declared: a dataclass or a TypedDict.
            check: raises ValueError for what the fields alone do not show.
            absent_is_null: of a TypedDict, what takes null may be left out: rows that an earlier
                version stored have no field of this one.
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
        """What checks and describes the type; made when it is asked for first, which takes long."""
        if self._made is None:
            self._made = TypeAdapter(self._declared)
        return self._made

    @property
    def fields(self) -> AbstractSet[str]:
        """The names of a dataclass' fields."""
        return {item.name for item in dataclasses.fields(self._declared)}  # type: ignore[arg-type]

    def read_back(self, document: Any) -> T:
        """Return what a stored document holds.

        Raises:
            ValueError: it holds something else; the message says where it first differs.
        """
        try:
            if self._absent and isinstance(document, dict):
                document = {**self._absent, **document}
            read = self.adapter.validate_python(document, extra="ignore", context=STORED)
        except ValidationError as error:
            raise ValueError(_difference(error.errors(include_url=False)[0])) from None
        return read if self._check is None else self._check(read)


def read_back(kind: Kind[T], what: str, document: Any) -> T:
    """Return what a document of the bucket holds.

    Raises:
        UnreadableError: it holds something else; the message names ``what`` and where it differs.
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
    """Return what a user's JSON object asks for.

    Args:
        kind: a dataclass.
        body: what was sent.
        below: the field that ``body`` is the value of, empty for a whole body.
        missing: what to say of fields that must be there, by name.
        unknown: what to say of a field that is none, by the name of the field it is in.
        wrong: what is wrong already, by field.
        is_null_default: null stands for the default; else it is no value of any field.

    Raises:
        InvalidRequestError: naming every field that is missing, unknown or wrong.
    """
    known = kind.fields
    said_of: dict[str, Sentence] = {}
    for key in sorted(body.keys() - known, key=str):
        said_of[_name(below, shown_key(key))] = (unknown or {}).get(below) or say(
            "field-unknown", "is an unknown field; known fields: {fields}", fields=sorted(known)
        )
    given = {key: value for key, value in body.items() if key in known}
    nulls = [key for key, value in given.items() if value is None]
    if not is_null_default:
        for key in nulls:
            said_of[_name(below, shown_key(key))] = say(
                "field-no-text-but", "must be text, not {kind}", kind=kind_of(None)
            )
    given = {key: value for key, value in given.items() if value is not None}
    read: T | None = None
    try:
        read = kind.adapter.validate_python(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            for field, said in _said(detail, missing or {}, unknown or {}).items():
                said_of.setdefault(_name(below, field), said)
    for field, said in (wrong or {}).items():
        said_of.setdefault(field, said)
    if said_of or read is None:
        raise errors.InvalidRequestError(said_of)
    return read


def _name(below: str, field: str) -> str:
    return f"{below}.{field}" if below else field


def _said(
    detail: ErrorDetails, missing: Mapping[str, Sentence], unknown: Mapping[str, Sentence]
) -> dict[str, Sentence]:
    """Return what is wrong, by the field's name as the user wrote it."""
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
    """Return where a document first differs, in words."""
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
