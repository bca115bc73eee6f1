"""Kubernetes quantities: "500m", "4Gi", "2" as numbers in base units, and in words.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import text_rules

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence

_UNITS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}))(?:[eE]([+-]?[0-9]{1,2}))?([A-Za-z]{0,2})"
)
# What a cluster may report: the API's own pattern (config/crd), with limited length.
_REPORTED = re.compile(
    r"([+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100}))(?:[eE]([+-]?[0-9]{1,100}))?([A-Za-z]{0,2})"
)
# Kubernetes also caps larger ones at this value ("Quantity" in common-definitions).
MAX_REPORTED = Decimal(2**63 - 1)
_MAX_EXPONENT = 30


def parse(text: str) -> Decimal:
    """Return the number of a quantity from a user or an admin.

    In cores, bytes or pieces. Values that can only be mistakes are refused.

    Raises:
        ValueError: ``text`` is not a quantity.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[3] not in _UNITS or (match[2] and match[3]):
        raise ValueError(
            say(
                "no-amount",
                "{value} is not a valid amount; use for example 2, 500m or 4Gi",
                value=repr(text[:40]),
            )
        )
    return Decimal(match[1]) * Decimal(10) ** int(match[2] or 0) * _UNITS[match[3]]


def reported(value: object) -> Decimal:
    """Return the number of a quantity from the cluster or a record.

    Values beyond MAX_REPORTED, in either direction, are capped.

    Raises:
        ValueError: it is not a quantity.
    """
    text = "" if isinstance(value, bool) else text_rules.shown_line(value, 300).strip()
    match = _REPORTED.fullmatch(text)
    if match is None or match[3] not in _UNITS or (match[2] and match[3]):
        raise ValueError(f"{text[:40]!r} is not an amount")
    exponent = max(-_MAX_EXPONENT, min(_MAX_EXPONENT, int(match[2] or 0)))
    amount = Decimal(match[1]) * Decimal(10) ** exponent * _UNITS[match[3]]
    return max(-MAX_REPORTED, min(MAX_REPORTED, amount))


def is_amount(value: object) -> bool:
    """Return whether a value of a document is a text that ``parse`` accepts."""
    try:
        parse(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def number(text: str | int) -> float | int:
    """Return a quantity as a JSON number in its base unit, an int if it is integral."""
    value = parse(str(text))
    return int(value) if value == value.to_integral_value() else float(value)


def in_words(resource: str, value: float) -> Sentence:
    """Return an amount in words: ``2 GPUs``, ``4 GiB of memory``, ``1.5 CPUs``."""
    amount = shortly(resource, value)
    if resource == "memory":
        return say("memory-amount", "{amount} of memory", amount=amount)
    is_one = amount == "1"
    if resource == "cpu":
        return say("one-cpu", "1 CPU") if is_one else say("cpus", "{count} CPUs", count=amount)
    if resource == "nvidia.com/gpu":
        return say("one-gpu", "1 GPU") if is_one else say("gpus", "{count} GPUs", count=amount)
    return say("resource-amount", "{amount} {resource}", amount=amount, resource=resource)


def shortly(resource: str, value: float) -> str:
    """Return an amount without its resource: ``2``, ``4 GiB``, ``1.5``."""
    if resource == "memory":
        for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value >= size:
                return f"{round(value / size, 1):g} {unit}"
        return f"{int(value)} bytes"
    return str(int(value) if value == int(value) else round(value, 2))
