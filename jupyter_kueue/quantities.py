"""Kubernetes quantities: "500m", "4Gi", "2" to numbers in base units, and back to words.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal

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


def parse(text: str) -> Decimal:
    """Return the number that a quantity stands for: cores, bytes or pieces.

    Raises:
        ValueError: ``text`` is no quantity.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[3] not in _UNITS or (match[2] and match[3]):
        raise ValueError(f"{text[:40]!r} is not an amount: write for example 2, 500m or 4Gi")
    return Decimal(match[1]) * Decimal(10) ** int(match[2] or 0) * _UNITS[match[3]]


def number(text: str | int) -> float | int:
    """Return a quantity as a JSON number in its base unit, an int where it is one."""
    value = parse(str(text))
    return int(value) if value == value.to_integral_value() else float(value)


def in_words(resource: str, value: float) -> str:
    """Return an amount as a person says it: ``2 GPUs``, ``4 GiB of memory``, ``1.5 CPUs``."""
    amount = int(value) if value == int(value) else round(value, 2)
    if resource == "memory":
        for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value >= size:
                return f"{round(value / size, 1):g} {unit} of memory"
        return f"{amount} bytes of memory"
    name = {"cpu": "CPU", "nvidia.com/gpu": "GPU"}.get(resource)
    if name is None:
        return f"{amount} {resource}"
    return f"{amount} {name}" if amount == 1 else f"{amount} {name}s"
