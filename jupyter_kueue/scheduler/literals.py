"""Parameters as jupyter-scheduler's form sends them: texts that are parsed as literals.

What is not a literal of JSON or Python is a plain text. Nothing is executed. Pure.
"""

from __future__ import annotations

import ast
import json
import math
from typing import Any

from jupyter_kueue.domain import strict_json

# Parsing a megabyte as Python takes a second, during which nothing else runs.
_MAX_PYTHON_LENGTH = 10_000


def read(text: str) -> Any:
    """Return the value of the literal in ``text``, otherwise ``text`` itself.

    Numbers, true and false, null and None, quoted texts, lists and objects are literals: ``5`` is a
    number, ``"5"`` and ``five`` are texts.
    """
    for parse in (strict_json.loads, ast.literal_eval):
        if parse is ast.literal_eval and len(text) > _MAX_PYTHON_LENGTH:
            continue
        try:
            value = parse(text)
        # Whatever a parser fails on, including deep nesting, is a text.
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if _is_json(value):
            return list(value) if isinstance(value, tuple) else value
    return text


def read_all(texts: dict[str, str] | None) -> dict[str, Any]:
    """Return parameters with each value parsed."""
    return {name: read(text) for name, text in (texts or {}).items()}


def write(value: Any) -> str:
    """Return the plainest text from which ``read`` returns ``value``."""
    if isinstance(value, str) and read(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_json(value: Any) -> bool:
    if value is None or isinstance(value, bool | int | str):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | tuple):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return False
