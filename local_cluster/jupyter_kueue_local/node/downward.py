"""The downward API: a pod's information about itself, as environment variables or files.

Pure. Fields and defaults: https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors, quantities

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class UnsupportedFieldError(errors.JupyterKueueError):
    """A field that this downward API does not support."""


def field_value(pod: Json, path: str, address: str) -> str:
    """Return the value of a ``fieldRef``; ``address`` is the node's and the pod's.

    Raises:
        UnsupportedFieldError: the field does not exist.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
    match path:
        case "metadata.name" | "metadata.namespace" | "metadata.uid":
            return str(metadata[path.removeprefix("metadata.")])
        case "metadata.labels" | "metadata.annotations":
            values = metadata.get(path.removeprefix("metadata.")) or {}
            # fieldpath.FormatMap of Kubernetes: sorted, values quoted.
            return "\n".join(f'{key}="{_escaped(values[key])}"' for key in sorted(values))
        case "spec.nodeName":
            return str(spec["nodeName"])
        case "spec.serviceAccountName":
            return str(spec.get("serviceAccountName", "default"))
        case "status.podIP" | "status.hostIP" | "status.podIPs" | "status.hostIPs":
            return address
    raise UnsupportedFieldError(foreign(f"unsupported fieldPath: {path}"))


def resource_value(
    container: Json, reference: Mapping[str, Any], capacity: Mapping[str, str]
) -> str:
    """Return the value of a ``resourceFieldRef``: an integer, rounded up.

    A limit that is not set counts as the node's ``capacity``.

    Raises:
        UnsupportedFieldError: the resource does not exist.
    """
    kind, _, resource = reference["resource"].partition(".")
    amounts = container.get("resources", {}).get(kind, {})
    amount = amounts.get(resource)
    if amount is None:
        amount = capacity.get(resource) if kind == "limits" else "0"
    if amount is None:
        raise UnsupportedFieldError(
            foreign(f"unsupported container resource: {reference['resource']}")
        )
    divisor = quantities.parse(str(reference.get("divisor") or "1")) or 1
    return str(math.ceil(quantities.parse(str(amount)) / divisor))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
