"""A live copy of all objects of one kind in one namespace: list, then watch, forever.

The end of a watch says nothing about the objects: the watch is resumed, or the objects are listed
again if the resource version has expired.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jupyter_kueue import patience
from jupyter_kueue.backoff import Backoff
from jupyter_kueue.condition_variable import ConditionVariable
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import errors, text_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jupyter_kueue.cluster.connection import Connection, Params
    from jupyter_kueue.contract.sentences import Sentence

Json = dict[str, Any]
T = TypeVar("T", bound="Mapping[str, Any]")

# Stands for an object that is left out.
_UNREADABLE: Json = {}

log = logging.getLogger(__name__)


class Watched(Generic[T]):
    """All objects at one collection path, kept up to date.

    Attributes:
        items: the objects by uid, reduced by ``trim``.
        synced: set once the first list is complete; never cleared.
        unreadable: invalid objects: name -> reason. They are not among ``items`` and do not affect
            others.
        error: why the last request failed, None while it works.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        *,
        on_change: Callable[[T, bool], None],
        params: Params | None = None,
        trim: Callable[[Json], T],
        changed: ConditionVariable | None = None,
    ) -> None:
        """Prepare; ``run`` does the work. ``on_change(object, gone)`` is called on each change.

        ``changed`` is notified when ``synced`` or ``error`` changes.

        Anybody with write access to the namespace may create objects with our labels, so an object
        for which ``trim`` or ``on_change`` raises any error is noted and left out.
        """
        self._connection = connection
        self._path = path
        self._params = params or {}
        self._on_change = on_change
        self._trim = trim
        self._changed = changed or ConditionVariable()
        self.items: dict[str, T] = {}
        self.unreadable: dict[str, Sentence] = {}
        self.synced = asyncio.Event()
        self.error: errors.JupyterKueueError | None = None
        # The newest resourceVersion from the list or the watch.
        self._shown = ""

    async def run(self) -> None:
        """Keep the copy up to date until cancelled."""
        backoff = Backoff(patience.WATCH_FIRST_PAUSE_SECONDS, patience.WATCH_LONGEST_PAUSE_SECONDS)
        version = ""
        clock = asyncio.get_running_loop().time
        while True:
            watching_since = math.inf
            try:
                if not version:
                    version = await self._list()
                self._note_error(None)
                watching_since = clock()
                async for event in self._connection.watch(
                    self._path,
                    {**self._params, "resourceVersion": version, "allowWatchBookmarks": "true"},
                ):
                    backoff.reset()
                    version = self._shown = event["object"]["metadata"]["resourceVersion"]
                    self._apply(event)
            except errors.ExpiredError:
                # The resource version has expired.
                version = ""
            except errors.JupyterKueueError as error:
                if self.error is None:
                    log.warning("watching path=%s failed: %s", self._path, error)
                self._note_error(self._in_words(error))
                # The server may not remember everything that was missed meanwhile: list again.
                version = ""
            if clock() - watching_since >= patience.WATCH_SHORT_SECONDS:
                backoff.reset()
            availability = self._connection.availability
            longest = (
                patience.WATCH_LONGEST_PAUSE_WHILE_RECOVERING_SECONDS
                if availability.is_recovering
                else None
            )
            if await availability.pause(backoff.next(longest)):
                backoff.reset()

    def _note_error(self, error: errors.JupyterKueueError | None) -> None:
        if error is not self.error:
            self.error = error
            self._changed.notify_all()

    def _in_words(self, error: errors.JupyterKueueError) -> errors.JupyterKueueError:
        if not isinstance(error, errors.NotFoundError):
            return error
        # A missing collection means that its API is not installed.
        return errors.NotConfiguredError(
            say(
                "kueue-not-served",
                "Kueue is not installed in this cluster (it does not serve {path}). "
                "Ask an admin to install Kueue v0.19 "
                "(https://kueue.sigs.k8s.io/docs/installation/).",
                path=self._path,
            )
        )

    def note(self, item: Json) -> None:
        """Apply an object from a request's answer, before the watch reports it.

        The watch may already have reported a later change, or the object's deletion.
        """
        trimmed = self._trimmed(item)
        if trimmed is None:
            return
        version = trimmed["metadata"]["resourceVersion"]
        is_news = not self._shown or _is_older(self._shown, version)
        if is_news and not self._knows_newer(trimmed):
            self._store(trimmed["metadata"]["uid"], trimmed)

    def _knows_newer(self, item: T) -> bool:
        known = self.items.get(item["metadata"]["uid"])
        if known is None:
            return False
        return _is_older(item["metadata"]["resourceVersion"], known["metadata"]["resourceVersion"])

    async def _list(self) -> str:
        self.unreadable.clear()
        listed = await self._connection.list(
            self._path, self._params, trim=lambda item: self._trimmed(item) or _UNREADABLE
        )
        readable = (item for item in listed["items"] if item is not _UNREADABLE)
        found = {item["metadata"]["uid"]: item for item in readable}
        for uid in [uid for uid in self.items if uid not in found]:
            self._tell(self.items.pop(uid), gone=True)
        for uid, item in found.items():
            self._store(uid, item)
        self.synced.set()
        self._changed.notify_all()
        self._shown = str(listed["metadata"]["resourceVersion"])
        return self._shown

    def _apply(self, event: Json) -> None:
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            return
        item = event["object"]
        self.unreadable.pop(_name_of(item), None)
        trimmed = self._trimmed(item)
        if trimmed is None or event["type"] == "DELETED":
            known = self.items.pop(item["metadata"].get("uid", ""), None)
            gone = known if trimmed is None else trimmed
            if gone is not None:
                self._tell(gone, gone=True)
            if event["type"] == "DELETED":
                self.unreadable.pop(_name_of(item), None)
        elif not self._knows_newer(trimmed):  # set by ``note``
            self._store(trimmed["metadata"]["uid"], trimmed)

    def _store(self, uid: str, item: T) -> None:
        old = self.items.get(uid)
        version = item["metadata"]["resourceVersion"]
        if old is not None and old["metadata"]["resourceVersion"] == version:
            return
        self.items[uid] = item
        if not self._tell(item, gone=False):
            self.items.pop(uid, None)

    def _trimmed(self, item: Json) -> T | None:
        try:
            return self._trim(item)
        except Exception as error:  # noqa: BLE001 - see __init__
            self._note(item, error)
            return None

    def _tell(self, item: T, *, gone: bool) -> bool:
        """Hand a change on; tell whether it was understood."""
        try:
            self._on_change(item, gone)
        except Exception as error:  # noqa: BLE001 - see __init__
            self._note(item, error)
            return False
        return True

    def _note(self, item: Mapping[str, Any], error: Exception) -> None:
        name = _name_of(item)
        if name not in self.unreadable:
            log.warning("path=%s name=%s is not understood: %r", self._path, name, error)
        # Lists do not need the full error objects of so many invalid objects.
        known = error.message if isinstance(error, errors.JupyterKueueError) else None
        self.unreadable[name] = known or foreign(str(error) or type(error).__name__)


def _is_older(version: str, other: str) -> bool:
    """Return whether one resourceVersion is older than another of the same kind of objects.

    They are integers to be compared as such (Kubernetes API concepts, "Resource versions", from
    1.35 on; etcd revisions before). Other values are not comparable.
    """
    return version.isdecimal() and other.isdecimal() and int(version) < int(other)


def _name_of(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    return text_rules.shown_line(metadata.get("name") if isinstance(metadata, dict) else "", 253)
