"""The parts of a text, for translation: REST's fields, once. Pure."""

from typing import Annotated

from pydantic import Field
from typing_extensions import (  # pydantic reads no others before Python 3.12
    TypeAliasType,
    TypedDict,
)

SentencePart = TypeAliasType("SentencePart", "str | int | float | Sentence")
SentenceValue = TypeAliasType("SentenceValue", "SentencePart | list[SentencePart]")


class Sentence(TypedDict):
    """The parts of a text, for translation."""

    code: Annotated[str, Field(description="Identifies the sentence.")]
    values: Annotated[
        dict[str, SentenceValue],
        Field(description="The values by name: texts, numbers, lists of these, or sentences."),
    ]
