"""A user's request for one run: every field with its type, limits, default and description.

Pure: it validates what needs no file, cluster or bucket. The OpenAPI document, the table in
docs/rest.md and the TypeScript types follow from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from jupyter_kueue.contract.sentences import Sentence, say
from jupyter_kueue.domain import errors, parameter_languages, parameter_literals
from jupyter_kueue.domain.field_types import (
    Annotations,
    Cpus,
    EnvironmentParameter,
    Flag,
    Gpus,
    InputPath,
    LocalQueueName,
    Memory,
    Name,
    OutputFormats,
    Parameters,
    PriorityClassName,
    Retries,
    Seconds,
    Tags,
)
from jupyter_kueue.domain.parsing import Kind, parse


@dataclass(frozen=True)
class Resources:
    """What the notebook container asks for, as Kubernetes quantities."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    cpu: Annotated[
        Cpus, EnvironmentParameter("cpu"), Field(description="CPUs, such as `2` or `500m`.")
    ] = "1"
    memory: Annotated[
        Memory, EnvironmentParameter("memory"), Field(description="Bytes as a Kubernetes quantity.")
    ] = "2Gi"
    gpus: Annotated[Gpus, EnvironmentParameter("gpus"), Field(description="Whole GPUs.")] = 0

    def as_json(self) -> dict[str, Any]:
        """Return the amounts as they are stored and shown."""
        return {"cpu": self.cpu, "memory": self.memory, "gpus": self.gpus}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Resources):
        return value
    if not isinstance(value, dict):
        raise ValueError(
            say(
                "resources-no-object",
                'must be an object such as {{"cpu": "2", "memory": "4Gi", "gpus": 1}}',
            )
        )
    return {key: amount for key, amount in value.items() if amount is not None}


AskedResources = Annotated[Resources, BeforeValidator(_without_nulls)]


@dataclass(frozen=True)
class RunRequest:
    """What a user asks for. ``None`` stands for the configured default."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    input_path: Annotated[
        InputPath,
        Field(
            description="The notebook's path inside the server's root folder, such as "
            "`reports/weekly.ipynb`."
        ),
    ]
    name: Annotated[
        Name | None,
        Field(description="Any single line of text; the file's name if left out."),
    ] = None
    local_queue: Annotated[
        LocalQueueName | None,
        EnvironmentParameter("queue"),
        Field(
            description="The queue; the configured one if left out, else `default`, else the first "
            "active one."
        ),
    ] = None
    profile: Annotated[
        Name | None,
        Field(description="A size from `profiles`; not together with `resources`."),
    ] = None
    resources: Annotated[
        AskedResources | None,
        Field(
            description='A size, such as `{"cpu": "2", "memory": "4Gi", "gpus": 1}`; the default '
            "profile's if left out."
        ),
    ] = None
    environment: Annotated[
        Name | None, Field(description="An image from `environments`; the default one if left out.")
    ] = None
    kernel_name: Annotated[
        Name | None,
        EnvironmentParameter("kernel"),
        Field(description="The kernel; the notebook's own if left out."),
    ] = None
    parameters: Annotated[
        Parameters,
        Field(
            description="Values for the notebook's parameters; JSON values become literals of the "
            "kernel's language."
        ),
    ] = field(default_factory=dict)
    output_formats: Annotated[
        OutputFormats, Field(description="`ipynb`, `html` and the other formats of nbconvert.")
    ] = ("ipynb",)
    include_folder: Annotated[
        Flag, Field(description="Whether the other files in the notebook's folder are uploaded.")
    ] = False
    priority_class: Annotated[
        PriorityClassName | None,
        EnvironmentParameter("priority"),
        Field(description="A WorkloadPriorityClass; the queue's default if left out."),
    ] = None
    timeout_seconds: Annotated[
        Seconds | None,
        EnvironmentParameter("timeout"),
        Field(description="Time limit for the notebook; none if left out."),
    ] = None
    cell_timeout_seconds: Annotated[
        Seconds | None, Field(description="Time limit for one cell; none if left out.")
    ] = None
    max_retries: Annotated[
        Retries,
        EnvironmentParameter("max_retries"),
        Field(
            description="Further attempts after a failure of the machine; a failed cell is not "
            "retried."
        ),
    ] = 0
    tags: Annotated[Tags, Field(description="Short texts to find runs by.")] = ()
    annotations: Annotated[
        Annotations,
        Field(description="Named texts that a client wants to keep with the run."),
    ] = field(default_factory=dict)
    idempotency_key: Annotated[
        Name | None,
        Field(description="A repeated request with the same key returns the existing run."),
    ] = None

    def as_json(self) -> dict[str, Any]:
        """Return the request as it is stored and shown."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **values,
            "resources": None if self.resources is None else self.resources.as_json(),
            "output_formats": list(self.output_formats),
            "tags": list(self.tags),
        }


FIELDS = tuple(item.name for item in fields(RunRequest))
KIND = Kind(RunRequest)
_RESOURCES = Kind(Resources)
# Messages for required fields, and for unknown fields inside ``resources``.
MISSING = {
    "input_path": say(
        "input-path-required", "is required: the notebook's path inside the server's root folder"
    )
}
UNKNOWN = {"resources": say("resource-unknown", "is not a resource; use cpu, memory or gpus")}


def check_object(body: Any) -> Mapping[str, Any]:
    """Return a body if it is a JSON object.

    Raises:
        InvalidRequestError: it is something else.
    """
    if isinstance(body, dict):
        return body
    raise errors.InvalidRequestError(
        {"body": say("send-object-with-input-path", "send a JSON object with at least input_path")}
    )


def parse_run_request(body: Any) -> RunRequest:
    """Parse a JSON body as a RunRequest.

    Raises:
        InvalidRequestError: naming every field that is missing, unknown or wrong.
    """
    given = check_object(body)
    return parse(KIND, given, missing=MISSING, unknown=UNKNOWN, wrong=wrong_together(given))


def wrong_together(body: Mapping[str, Any]) -> dict[str, Sentence]:
    """Return problems of fields that are valid individually."""
    if body.get("profile") is not None and body.get("resources") is not None:
        said = say("profile-or-resources", "give either a profile or resources, not both")
        return {"profile": said}
    return {}


def parse_resources(value: Any) -> Resources:
    """Parse ``{"cpu": "2", "memory": "4Gi", "gpus": 1}``; each field is optional.

    Raises:
        InvalidRequestError: naming each bad amount as ``resources.<name>``.
        ValueError: it is not an object.
    """
    return parse(_RESOURCES, _without_nulls(value), below="resources", unknown=UNKNOWN)


def check_parameters(
    parameters: Mapping[str, Any],
    kernel_name: str | None,
    notebooks_kernel: str | None,
    stated: str,
) -> None:
    """Refuse parameters that cannot be written in the language of their kernel.

    The pod writes them by the same rules. Many parameters take long: call it in a thread.

    Args:
        parameters: the request's parameters.
        kernel_name: the kernel that the request names.
        notebooks_kernel: the kernel that the notebook names.
        stated: the language that the notebook states, empty if none.

    Raises:
        InvalidRequestError: naming ``parameters``, or each bad one as ``parameters.<name>``.
    """
    if not parameters:
        return
    language = parameter_languages.find_language(kernel_name, notebooks_kernel, stated)
    if language is None:
        said = parameter_languages.unknown_language(kernel_name or notebooks_kernel, stated)
        raise errors.InvalidRequestError({"parameters": said})
    parameter_literals.write_cell(dict(parameters), language)
