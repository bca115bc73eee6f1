"""What users choose from: profiles (sizes) and environments (images).

Both come from the settings and from ConfigMaps of the namespace that an admin labels
``jupyter-kueue/kind: profile`` or ``environment``: each of their data keys is a name, its value
YAML of the same shape as in the settings. They are read on demand, so an edit is seen within
seconds and without a restart. A name that is in both means the ConfigMap's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from jupyter_kueue import patience
from jupyter_kueue.cluster import resources
from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, quantities, run_request, strict_yaml, text_rules
from jupyter_kueue.domain.names import MAX_NAME_LENGTH
from jupyter_kueue.service.short_lived_cache import Cached

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue.config import Settings
    from jupyter_kueue.contract.sentences import Sentence, Value
    from jupyter_kueue.domain.choices import Choice, Environment, Profile
    from jupyter_kueue.domain.run_request import Resources, RunRequest

Json = dict[str, Any]
Entry = TypeVar("Entry", bound="Choice")

LABEL_KIND = "jupyter-kueue/kind"
PROFILE = "profile"
ENVIRONMENT = "environment"
# The name of the environment that the setting `image` stands for.
DEFAULT_ENVIRONMENT = "default"

_PROFILE_FIELDS = ("display_name", "description", "cpu", "memory", "gpus", "default")
_ENVIRONMENT_FIELDS = ("display_name", "description", "image", "default")
MAX_DESCRIPTION_LENGTH = 2000
_MAX_WHY_LENGTH = 300

log = logging.getLogger(__name__)


class _Choices(NamedTuple):
    profiles: list[Profile]
    environments: list[Environment]


class Environments:
    """The profiles and environments of one namespace.

    Attributes:
        problems: what is wrong with single entries, as of the last read: sentences for ``health``.
    """

    def __init__(self, connection: Connection, namespace: str, settings: Settings) -> None:
        self._connection = connection
        self._namespace = namespace
        self._settings = settings
        self._read = Cached(self._read_all)
        self.problems: tuple[Sentence, ...] = ()

    async def list_profiles(self) -> list[Profile]:
        """Return the profiles: the default one, then the others from the smallest to the largest.

        Raises:
            ClusterUnavailableError: the ConfigMaps cannot be read at present.
        """
        return (await self._read.get()).profiles

    async def list_environments(self) -> list[Environment]:
        """Return the environments, by name; exactly one has ``default`` true, if there are any.

        Raises:
            ClusterUnavailableError: the ConfigMaps cannot be read at present.
        """
        return (await self._read.get()).environments

    async def resolve(self, request: RunRequest) -> tuple[Resources, str]:
        """Return the resources and the notebook container's image of a request.

        Raises:
            InvalidRequestError: on ``profile`` or ``environment``: there is none of that name.
            NotConfiguredError: the request names no environment and there is no default one.
        """
        entries = await self._read.get()
        wrong: dict[str, Sentence] = {}
        resources_asked = request.resources
        if resources_asked is None:
            profile = _choose(entries.profiles, request.profile)
            if profile is not None:
                resources_asked = run_request.parse_resources(
                    {"cpu": profile["cpu"], "memory": profile["memory"], "gpus": profile["gpus"]}
                )
            elif request.profile:
                wrong["profile"] = _unknown(PROFILE, request.profile, entries.profiles)
        environment = _choose(entries.environments, request.environment)
        if environment is None and request.environment:
            wrong["environment"] = _unknown(ENVIRONMENT, request.environment, entries.environments)
        if wrong:
            raise errors.InvalidRequestError(wrong)
        if environment is None:
            raise errors.NotConfiguredError(
                say(
                    "no-image-set",
                    "No image is set for notebooks. Set c.JupyterKueue.image (or "
                    "JUPYTER_KUEUE_IMAGE), or define environments.",
                )
            )
        return resources_asked or run_request.Resources(), environment["image"]

    async def _read_all(self) -> _Choices:
        problems: list[Sentence] = []
        config_maps = await self._config_maps()
        # In a thread: how long it takes depends on who may write ConfigMaps.
        profiles, environments = await asyncio.to_thread(self._found, config_maps, problems)
        image = self._settings.image
        if image and DEFAULT_ENVIRONMENT not in {entry["name"] for entry in environments}:
            environments.append(
                _environment(DEFAULT_ENVIRONMENT, {"image": image, "display_name": "Default"})
            )
        for problem in problems:
            if problem not in self.problems:
                log.warning("%s", problem)
        self.problems = tuple(problems)
        return _Choices(
            sorted(_with_one_default(profiles), key=_size), _with_one_default(environments)
        )

    def _found(self, config_maps: list[Json], problems: list[Sentence]) -> _Choices:
        settings = self._settings
        return _Choices(
            _merged("profiles", settings.profiles, config_maps, PROFILE, _profile, problems),
            _merged(
                "environments",
                settings.environments,
                config_maps,
                ENVIRONMENT,
                _environment,
                problems,
            ),
        )

    async def _config_maps(self) -> list[Json]:
        try:
            answer = await self._connection.get(
                resources.config_maps(self._namespace),
                {"labelSelector": f"{LABEL_KIND} in ({PROFILE},{ENVIRONMENT})"},
                timeout_seconds=patience.CLUSTER_DETAIL_SECONDS,
            )
        except errors.ForbiddenError:
            # The settings alone are a complete configuration; health names the missing verb.
            return []
        items: list[Json] = answer["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))


def _merged(
    setting: str,
    configured: Mapping[str, Any],
    config_maps: list[Json],
    kind: str,
    parse: Callable[[str, Any], Entry],
    problems: list[Sentence],
) -> list[Entry]:
    found: dict[str, Entry] = {}

    def add(where: str, name: str, value: Any, read: Callable[[Any], Any]) -> None:
        try:
            parsed = parse(name, read(value))
        except errors.InvalidRequestError as error:
            why = error.message
        except ValueError as error:
            why = sentences.of_error(error)
        except Exception as error:
            # Whoever may write a ConfigMap may write anything: it costs that entry.
            log.exception("%s: %s is not understood", where, name)
            why = say(
                "entry-not-understood",
                "it cannot be understood ({error})",
                error=type(error).__name__,
            )
        else:
            found.pop(name, None)  # what is said last stands last, see _with_one_default
            found[name] = parsed
            return
        problems.append(
            say(
                "entry-left-out",
                "{where}: {name} is ignored: {why}",
                where=where,
                name=name,
                why=text_rules.shown_line(why, _MAX_WHY_LENGTH),
            )
        )

    for name, value in configured.items():
        add(
            say("the-setting", "The setting {setting}", setting=setting),
            name,
            value,
            lambda value: value,
        )
    for config_map in config_maps:
        metadata = config_map["metadata"]
        if metadata.get("labels", {}).get(LABEL_KIND) != kind:
            continue
        for name, text in (config_map.get("data") or {}).items():
            add(
                say("the-config-map", "The ConfigMap {name}", name=metadata["name"]),
                name,
                text,
                strict_yaml.loads,
            )
    return list(found.values())


def _profile(name: str, value: Any) -> Profile:
    _check_fields(value, _PROFILE_FIELDS)
    amounts = {key: value[key] for key in ("cpu", "memory", "gpus") if key in value}
    size = run_request.parse_resources(amounts)
    return {**_described(name, value), "cpu": size.cpu, "memory": size.memory, "gpus": size.gpus}


def _environment(name: str, value: Any) -> Environment:
    _check_fields(value, _ENVIRONMENT_FIELDS)
    image = value.get("image")
    if not isinstance(image, str) or not image.strip():
        raise ValueError(say("entry-names-no-image", "it has no image"))
    if problem := text_rules.problem(image, MAX_NAME_LENGTH):
        raise ValueError(say("entry-image", "its image {problem}", problem=problem))
    return {**_described(name, value), "image": image}


def _check_fields(value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise ValueError(say("entry-no-object", "it must be an object with {fields}", fields=known))
    unknown = sorted(str(key) for key in value if key not in known)
    if unknown:
        raise ValueError(
            say(
                "entry-unknown-fields",
                "it has unknown fields: {unknown} (known fields: {known})",
                unknown=unknown,
                known=known,
            )
        )


def _described(name: str, value: Json) -> Choice:
    described = {
        "name": name,
        "display_name": value.get("display_name") or name,
        "description": value.get("description") or "",
    }
    for field, text in described.items():
        is_long = field == "description"
        most = MAX_DESCRIPTION_LENGTH if is_long else MAX_NAME_LENGTH
        problem = say("field-no-text", "must be text") if not isinstance(text, str) else None
        if problem := problem or text_rules.problem(text, most, lines=is_long):
            raise ValueError(
                say("entry-field", "its {field} {problem}", field=field, problem=problem)
            )
    return {
        "name": name,
        "display_name": described["display_name"],
        "description": described["description"],
        "default": value.get("default") is True,
    }


def _with_one_default(entries: list[Entry]) -> list[Entry]:
    """Return ``entries`` by name, one of them the default: the last that says so, else the first.

    ConfigMaps come after the settings, so their default wins.
    """
    chosen = [entry["name"] for entry in entries if entry["default"]]
    chosen = chosen or [entry["name"] for entry in entries if entry["name"] == DEFAULT_ENVIRONMENT]
    by_name = sorted(entries, key=lambda entry: str(entry["name"]))
    default = chosen[-1] if chosen else next((entry["name"] for entry in by_name), None)
    for entry in by_name:
        entry["default"] = entry["name"] == default
    return by_name


def _size(profile: Profile) -> tuple[Any, ...]:
    """Return what profiles are sorted by: the default one first, then what is scarce."""
    amounts = (profile["gpus"], quantities.parse(profile["cpu"]))
    return (not profile["default"], *amounts, quantities.parse(profile["memory"]), profile["name"])


def _choose(entries: list[Entry], name: str | None) -> Entry | None:
    wanted = (entry for entry in entries if (entry["name"] == name if name else entry["default"]))
    return next(wanted, None)


def _unknown(kind: str, name: str, entries: Sequence[Choice]) -> Sentence:
    known: Value = [entry["name"] for entry in entries] or say("there-is-none", "none")
    asked = repr(name[:80])
    if kind == PROFILE:
        return say(
            "unknown-profile",
            "there is no profile {profile}; available: {known}",
            profile=asked,
            known=known,
        )
    return say(
        "unknown-environment",
        "there is no environment {environment}; available: {known}",
        environment=asked,
        known=known,
    )
