"""Reports of a run's end, cut to the limits in ``pod_contract``, with a note about each cut.

An exception in a notebook may hold megabytes, and a run's message appears in every list. Only the
notebook keeps the whole text.
"""

from __future__ import annotations

from typing import Any

from jupyter_kueue.contract import pod_contract


def text(value: Any, length: int) -> str:
    """Return ``value`` as a text of at most ``length`` characters, with a note if it was cut."""
    whole = value if isinstance(value, str) else str(value)
    if len(whole) <= length:
        return whole
    return f"{whole[:length]}… ({len(whole) - length:,} more characters; the notebook has all)"


def error(value: dict[str, Any]) -> dict[str, Any]:
    """Return ERROR with each of its texts within its limit."""
    return {
        **value,
        "name": text(value["name"], pod_contract.MAX_ERROR_NAME_LENGTH),
        "value": text(value["value"], pod_contract.MAX_ERROR_VALUE_LENGTH),
        "cell_source": ends_of_text(value["cell_source"], pod_contract.MAX_CELL_SOURCE_LENGTH),
        "traceback": traceback(value["traceback"]),
    }


def error_output(content: dict[str, Any]) -> dict[str, Any]:
    """Return an output of type ``error`` with its texts within the same limits."""
    return {
        "ename": text(content["ename"], pod_contract.MAX_ERROR_NAME_LENGTH),
        "evalue": text(content["evalue"], pod_contract.MAX_ERROR_VALUE_LENGTH),
        "traceback": traceback(content["traceback"]),
    }


def ends_of_text(whole: str, length: int) -> str:
    """Return a text's beginning and end if it is longer than ``length`` characters."""
    if len(whole) <= length:
        return whole
    half = length // 2
    left_out = len(whole) - 2 * half
    return (
        f"{whole[:half]}\n… ({left_out:,} characters in between; the notebook has all)\n"
        f"{whole[-half:]}"
    )


def traceback(lines: Any) -> list[str]:
    """Return the first and last lines of a traceback, which say the most."""
    if not isinstance(lines, list):
        return []
    most = pod_contract.MAX_TRACEBACK_LINES
    if len(lines) > most:
        head = most // 4
        left_out = len(lines) - most
        word = f"… ({left_out:,} lines in between; the notebook has all)"
        lines = [*lines[:head], word, *lines[head - most :]]
    room = pod_contract.MAX_TRACEBACK_LENGTH
    kept: list[str] = []
    for line in reversed(lines):
        cut = ends_of_text(str(line), min(room, pod_contract.MAX_TRACEBACK_LINE_LENGTH))
        kept.append(cut)
        room -= len(cut)
        if room <= 0:
            break
    if len(kept) < len(lines):
        kept.append(f"… ({len(lines) - len(kept):,} lines before; the notebook has all)")
    return kept[::-1]


def in_megabytes(number: int) -> str:
    """Return a number of bytes as text in megabytes."""
    return f"{number / 2**20:.4g} MiB"
