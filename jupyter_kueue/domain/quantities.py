"""Kubernetes quantities: "500m", "4Gi", "2" to numbers in base units, and back to words.

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
# What a cluster may report: the API's own pattern (config/crd), with an end to it.
_REPORTED = re.compile(
    r"([+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100}))(?:[eE]([+-]?[0-9]{1,100}))?([A-Za-z]{0,2})"
)
# Larger ones are cut to it in Kubernetes too ("Quantity" in common-definitions).
MAX_REPORTED = Decimal(2**63 - 1)
_MAX_EXPONENT = 30


def parse(text: str) -> Decimal:
    """Return the number that a quantity of a user's or an admin's stands for.

    In cores, bytes or pieces. More than a slip of the finger could mean is refused.

    Raises:
        ValueError: ``text`` is no quantity.
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
    """Return the number that a quantity stands for which the cluster or a record holds.

    Beyond MAX_REPORTED, either way, it is cut to that.

    Raises:
        ValueError: it is no quantity.
    """
    text = "" if isinstance(value, bool) else text_rules.shown_line(value, 300).strip()
    match = _REPORTED.fullmatch(text)
    if match is None or match[3] not in _UNITS or (match[2] and match[3]):
        raise ValueError(f"{text[:40]!r} is not an amount")
    exponent = max(-_MAX_EXPONENT, min(_MAX_EXPONENT, int(match[2] or 0)))
    amount = Decimal(match[1]) * Decimal(10) ** exponent * _UNITS[match[3]]
    return max(-MAX_REPORTED, min(MAX_REPORTED, amount))


def is_amount(value: object) -> bool:
    """Tell whether a value of a document is a text that ``parse`` can read."""
    try:
        parse(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def number(text: str | int) -> float | int:
    """Return a quantity as a JSON number in its base unit, an int where it is one."""
    value = parse(str(text))
    return int(value) if value == value.to_integral_value() else float(value)


def in_words(resource: str, value: float) -> Sentence:
    """Return an amount as a person says it: ``2 GPUs``, ``4 GiB of memory``, ``1.5 CPUs``."""
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
    """Return an amount without what it is of: ``2``, ``4 GiB``, ``1.5``."""
    if resource == "memory":
        for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value >= size:
                return f"{round(value / size, 1):g} {unit}"
        return f"{int(value)} bytes"
    return str(int(value) if value == int(value) else round(value, 2))
