"""Messages from a kernel, checked for their shape.

Code in the kernel has its keys and can send anything. Source: "Messaging in Jupyter".
"""

from __future__ import annotations

import json
from typing import Any

TOO_DEEP = "An output of this cell is nested too deep to be read. It is not kept."
NOT_UNDERSTOOD = "A message from the kernel could not be understood ({}). It is not kept."

_COMMS = frozenset({"comm_open", "comm_msg", "comm_close"})


def read(session: Any, frames: list[Any], max_content_bytes: int) -> dict[str, Any]:
    """Return the message in ``frames`` and the ``size`` of its content in bytes.

    If the content cannot be used it is None, and ``why`` gives the reason; ``why`` is empty if the
    content is larger than ``max_content_bytes``.

    Raises:
        Exception: it is not a message of this kernel, or its cell is unknown.
    """
    _, parts = session.feed_identities(frames)
    size = len(parts[4])
    why = ""
    if size <= max_content_bytes:
        try:
            message = session.deserialize(parts)
            _check_envelope(message)
            why = _misshapen(message)
            if not why:
                return {**message, "size": size}
        except RecursionError:
            why = TOO_DEEP
    header = json.loads(parts[1])
    without = {
        "header": header,
        "msg_type": header["msg_type"],
        "parent_header": json.loads(parts[2]),
        "content": None,
        "why": why,
    }
    _check_envelope(without)
    return without


def reply(session: Any, frames: list[Any]) -> dict[str, Any]:
    """Return the reply in ``frames``, with the fields of an error as text.

    Raises:
        Exception: it is not a reply.
    """
    _, parts = session.feed_identities(frames)
    message: dict[str, Any] = session.deserialize(parts)
    _check_envelope(message)
    content = message["content"]
    if not isinstance(content, dict):
        raise TypeError("content")
    if message["msg_type"] == "execute_reply":
        content["status"] = str(content["status"])
        if content["status"] == "error":
            for name in ("ename", "evalue"):
                content[name] = str(content.get(name, ""))
            lines = content.get("traceback")
            content["traceback"] = [str(line) for line in lines] if isinstance(lines, list) else []
    return message


def _check_envelope(message: dict[str, Any]) -> None:
    for part in ("header", "parent_header"):
        if not isinstance(message[part], dict):
            raise TypeError(part)
    if not isinstance(message["msg_type"], str):
        raise TypeError("msg_type")


def _misshapen(message: dict[str, Any]) -> str:
    """Return what is wrong with a message's content, or an empty text."""
    content = message["content"]
    is_content = isinstance(content, dict)
    # The notebook's widget state uses it as a key of an object.
    if is_content and message["msg_type"] in _COMMS:
        is_content = isinstance(content.get("comm_id"), str)
    return "" if is_content else NOT_UNDERSTOOD.format("TypeError")
