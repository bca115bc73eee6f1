"""The bucket: objects by key, in any S3, GCS or Azure store or directory that obstore opens.

It translates obstore's errors into this package's errors. It knows no particular key, keeps no
state besides the client's connections, and puts no credential into a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self

import obstore
from obstore.exceptions import NotModifiedError
from obstore.store import LocalStore

from jupyter_kueue import patience
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, strict_json
from jupyter_kueue.storage import bucket_errors, bucket_settings
from jupyter_kueue.storage.file_marks import NO_MARKS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from obstore.store import ObjectStore

    from jupyter_kueue.storage.file_marks import FileMarks

# Larger objects are uploaded in parts and downloaded in ranges, so that no single request exceeds
# the client's time-out, and a file of any size needs a limited amount of memory.
PART_BYTES = 8 * 2**20
# S3 allows 10,000 parts; larger files use larger parts.
MAX_PARTS = 9_000
PARTS_AT_ONCE = 4
# How often to create an object again that disappears before it can be read.
_CREATE_TRIES = 3
# Above this package's own documents, even with a folder's files or a large request. Others may have
# written larger ones, and documents are read into memory.
MAX_JSON_BYTES = 32 * 2**20
# The approximate number of values in a document of that size that lists a folder's files.
MAX_JSON_VALUES = 2_000_000
# From this size on, parsing in a thread costs less than blocking the event loop.
_READ_AT_ONCE_BYTES = 2**18


@dataclass(frozen=True)
class ObjectMeta:
    """An object in a listing. ``etag`` is None if the store has none."""

    key: str
    size: int
    etag: str | None
    last_modified: datetime


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file: its ``size`` in bytes and the hexadecimal SHA-256 of these bytes."""

    size: int
    sha256: str


class Download:
    """An object, or a range of it, as chunks of bytes; iterate over it once.

    ``meta`` describes the whole object; ``start`` and ``end`` (exclusive) are the range in bytes.
    """

    def __init__(
        self, bucket: Bucket, meta: ObjectMeta, first: obstore.GetResult, span: tuple[int, int]
    ) -> None:
        self.meta = meta
        self.start, self.end = span
        self._bucket = bucket
        self._first = first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes. Raises ConflictError if the object is replaced meanwhile."""
        with self._bucket.translated("read", self.meta.key):
            if self.end - self.start <= PART_BYTES:
                async for chunk in self._first.stream(min_chunk_size=2**18):
                    yield bytes(chunk)
                return
            condition: dict[str, Any] = {"if_match": self.meta.etag} if self.meta.etag else {}
            for position in range(self.start, self.end, PART_BYTES):
                options = condition | {"range": (position, min(position + PART_BYTES, self.end))}
                result = await obstore.get_async(
                    self._bucket.store,
                    self.meta.key,
                    options=options,  # type: ignore[arg-type]
                )
                yield bytes(await result.bytes_async())


class Bucket:
    """One bucket (or the part of it below the URL's path), through obstore's async functions.

    Every method raises NotFoundError, ForbiddenError, ConflictError or BucketUnavailableError.
    ``name`` identifies it in messages: its URL and, if set, its endpoint.
    """

    def __init__(self, store: ObjectStore, name: str) -> None:
        self.store = store
        self.name = name

    @classmethod
    def open(
        cls,
        where: Path | str,
        options: dict[str, str] | None = None,
        *,
        retries: int = patience.BUCKET_RETRIES,
        retry_seconds: float = patience.BUCKET_RETRY_SECONDS,
    ) -> Self:
        """Open a bucket without sending a request.

        Args:
            where: a URL (``s3://outputs/default``, ``gs://``, ``az://``, ``file:///``), or a folder
                like a mounted Kubernetes Secret: its file ``url`` holds the URL, each other file
                one option of obstore's store or client (``endpoint``, ``access_key_id``,
                ``secret_access_key``, ``region``, ``allow_http``, …).
            options: more options, which override the folder's.
            retries: how often the client repeats a request after a server or network error.
            retry_seconds: no repeat starts later than this after the first attempt.

        Raises:
            NotConfiguredError: the folder, the URL or an option is missing or invalid.
        """
        store, name = bucket_settings.open_store(where, options or {}, retries, retry_seconds)
        return cls(store, name)

    @property
    def url(self) -> str:
        """The bucket's URL, without credentials."""
        return self.name.partition(" at ")[0]

    @contextlib.contextmanager
    def translated(self, doing: str, key: str) -> Iterator[None]:
        """Translate obstore's errors inside the context into this package's, causes chained."""
        try:
            yield
        except bucket_errors.OBSTORE_ERRORS as error:
            raise bucket_errors.translate(error, doing=doing, key=key, bucket=self.name) from error

    # --- Reading ---------------------------------------------------------------------------------

    async def get_bytes(self, key: str, *, max_bytes: int = MAX_JSON_BYTES) -> bytes:
        """Return an object's content. For small objects: it is read into memory.

        Raises:
            UnreadableError: it has more than ``max_bytes``; none of them is read.
        """
        with self.translated("read", key):
            result = await obstore.get_async(self.store, key)
            return await self._content(result, max_bytes)

    async def get_json(self, key: str, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
        """Return an object parsed as JSON (``strict_json``).

        Raises:
            UnreadableError: it has more than ``max_bytes``, or is not valid.
        """
        return await self._parse(key, await self.get_bytes(key, max_bytes=max_bytes))

    async def get_json_if_changed(
        self, key: str, etag: str | None, *, max_bytes: int = MAX_JSON_BYTES
    ) -> tuple[Any, str | None] | None:
        """Return (parsed content, its ETag), or None if the object still has ``etag``.

        Raises:
            UnreadableError: as for ``get_json``.
        """
        with self.translated("read", key):
            try:
                result = await obstore.get_async(
                    self.store, key, options={"if_none_match": etag} if etag else None
                )
            except NotModifiedError:
                return None
            data = await self._content(result, max_bytes)
        return await self._parse(key, data), result.meta["e_tag"]

    async def stream(self, key: str, start: int | None = None, end: int | None = None) -> Download:
        """Open an object for reading in chunks.

        Args:
            key: the object's key.
            start: the first byte; None for the beginning, negative for the last ``-start`` bytes.
            end: the byte after the last; None for the object's end.

        Raises:
            RangeNotSatisfiableError: ``start`` is at or after the object's end.
        """
        options: dict[str, Any] = {}
        if start is not None and start < 0:
            options["range"] = {"suffix": -start}
        elif end is not None:
            options["range"] = (start or 0, end)
        elif start:
            options["range"] = {"offset": start}
        with self.translated("read", key):
            result = await obstore.get_async(
                self.store,
                key,
                options=options,  # type: ignore[arg-type]
            )
        return Download(self, _meta(result.meta), result, result.range)

    async def download(self, key: str, path: Path, marks: FileMarks = NO_MARKS) -> StoredFile:
        """Write an object to ``path``, which appears once it is complete, with ``marks``."""
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        temporary = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with temporary.open("wb") as file:
                stored = await self.download_into(key, file)
                file.flush()
                marks.apply(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return stored

    async def download_into(self, key: str, file: IO[bytes]) -> StoredFile:
        """Write an object to an open file."""
        download = await self.stream(key)
        digest = hashlib.sha256()
        size = 0
        async for chunk in download:
            size += len(chunk)
            if len(chunk) < 2**16:
                digest.update(chunk)
                file.write(chunk)
            else:
                await asyncio.to_thread(_write, file, digest, chunk)
        return StoredFile(size, digest.hexdigest())

    async def head(self, key: str) -> ObjectMeta | None:
        """Return the metadata of an object, None if it does not exist."""
        try:
            with self.translated("read", key):
                return _meta(await obstore.head_async(self.store, key))
        except errors.NotFoundError:
            return None

    async def list(self, prefix: str = "") -> Sequence[ObjectMeta]:
        """Return every object in the folder ``prefix``; its trailing slash is optional."""
        with self.translated("list", prefix):
            return [
                _meta(entry)
                async for chunk in obstore.list(self.store, prefix.rstrip("/") or None)
                for entry in chunk
            ]

    async def list_folder(self, prefix: str = "") -> tuple[Sequence[ObjectMeta], Sequence[str]]:
        """Return the objects and folders directly in ``prefix``; folders end in a slash."""
        with self.translated("list", prefix):
            result = await obstore.list_with_delimiter_async(self.store, prefix.rstrip("/") or None)
        folders = [f"{child}/" for child in result["common_prefixes"]]
        return [_meta(entry) for entry in result["objects"]], folders

    async def list_prefixes(self, prefix: str = "") -> Sequence[str]:
        """Return the folders directly in ``prefix``, as full prefixes with a trailing slash."""
        _, folders = await self.list_folder(prefix)
        return folders

    # --- Writing ---------------------------------------------------------------------------------

    async def put_bytes(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str | None:
        """Write an object, replacing an existing one. Returns its ETag if the store has ETags."""
        with self.translated("write", key):
            result = await obstore.put_async(
                self.store,
                key,
                data,
                attributes=self._attributes(content_type, metadata),
                use_multipart=False,
            )
        return result["e_tag"]

    async def put_json(self, key: str, value: Any) -> str | None:
        """Write ``value`` as JSON, replacing an existing object. Returns the ETag."""
        return await self.put_bytes(key, encode_json(value), content_type="application/json")

    async def replace_json(self, key: str, value: Any, etag: str | None) -> None:
        """Write ``value`` as JSON in place of the object with this ETag.

        A directory and a store without ETags cannot check this; there the last writer wins.

        Raises:
            ConflictError: another writer has replaced the object meanwhile.
        """
        if etag is None or isinstance(self.store, LocalStore):
            await self.put_json(key, value)
            return
        with self.translated("write", key):
            await obstore.put_async(
                self.store,
                key,
                encode_json(value),
                mode={"e_tag": etag},
                attributes=self._attributes("application/json"),
                use_multipart=False,
            )

    async def create(self, key: str, data: bytes, *, content_type: str | None = None) -> str | None:
        """Create an object (If-None-Match); ConflictError if it exists.

        If the first answer is lost, the client's retry conflicts with its own object. Use
        ``create_once`` to distinguish this from another writer.
        """
        with self.translated("create", key):
            result = await obstore.put_async(
                self.store, key, data, mode="create", attributes=self._attributes(content_type)
            )
        return result["e_tag"]

    async def create_once(
        self, key: str, data: bytes, *, content_type: str | None = "application/json"
    ) -> bytes:
        """Create an object unless it exists; return its content then.

        This is ``data``, even if an earlier try wrote it and its answer was lost, or the content
        that another writer created first. Independent writers thereby agree on one of them.

        Raises:
            ConflictError: the object keeps disappearing, because somebody deletes it.
        """
        for _ in range(_CREATE_TRIES):
            try:
                await self.create(key, data, content_type=content_type)
            except errors.ConflictError:
                with contextlib.suppress(errors.NotFoundError):
                    return await self.get_bytes(key)
            else:
                return data
        raise errors.ConflictError(
            say("being-removed", "It is being removed right now. Try again in a moment.")
        )

    async def put_file(
        self,
        key: str,
        file: IO[bytes],
        *,
        content_type: str | None = None,
        metadata: dict[str, str] | None = None,
        last_bytes: int | None = None,
    ) -> StoredFile:
        """Upload an open file in parts, replacing an existing object, with user ``metadata``.

        Bytes appended after the upload has begun are not sent, so a growing log has an end. If the
        file has more than ``last_bytes``, only that many of its last bytes are sent. The digest
        covers what is sent. Raises OSError if the file cannot be read.
        """
        size = os.fstat(file.fileno()).st_size
        if last_bytes is not None and size > last_bytes:
            file.seek(size - last_bytes)
            size = last_bytes
        if size <= PART_BYTES:
            data = await asyncio.to_thread(file.read, size)
            await self.put_bytes(key, data, content_type=content_type, metadata=metadata)
            return StoredFile(len(data), hashlib.sha256(data).hexdigest())
        part_bytes = max(PART_BYTES, -(-size // MAX_PARTS))
        parts = _Parts(file, part_bytes, size)
        with self.translated("write", key):
            await obstore.put_async(
                self.store,
                key,
                parts,
                attributes=self._attributes(content_type, metadata),
                chunk_size=part_bytes,
                max_concurrency=PARTS_AT_ONCE,
            )
        return StoredFile(parts.size, parts.digest.hexdigest())

    async def copy(self, source: str, target: str) -> None:
        """Copy an object inside the bucket, replacing an existing one."""
        with self.translated("copy", source):
            await obstore.copy_async(self.store, source, target)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""
        for at in range(0, len(keys), 1000):  # S3 allows 1,000 keys in one request
            some = keys[at : at + 1000]
            with contextlib.suppress(errors.NotFoundError), self.translated("delete", some[0]):
                await obstore.delete_async(self.store, some)

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every object below ``prefix`` and return how many there were."""
        keys = [meta.key for meta in await self.list(prefix)]
        await self.delete(keys)
        return len(keys)

    async def check(self, prefix: str = "") -> None:
        """Write, read and delete a small object below ``prefix``.

        Raises an error that says which operation fails and how to fix it.
        """
        key = f"{prefix}.check-{uuid.uuid4().hex}"
        data = b"jupyter-kueue looks whether this bucket can be used\n"
        await self.put_bytes(key, data)
        if await self.get_bytes(key) != data:
            message = say(
                "bucket-gives-other-bytes",
                "The bucket {bucket} returned different bytes than were written.",
                bucket=self.name,
            )
            raise errors.BucketUnavailableError(message)
        await self.delete([key])

    def _attributes(
        self, content_type: str | None, metadata: dict[str, str] | None = None
    ) -> dict[str, str] | None:
        """Return the attributes of a put; none for a directory, which cannot store any."""
        if isinstance(self.store, LocalStore):
            return None
        attributes = dict(metadata or {})
        if content_type is not None:
            attributes["Content-Type"] = content_type
        return attributes or None

    async def _content(self, result: obstore.GetResult, max_bytes: int) -> bytes:
        """Return the content of an open object, of which nothing has been read yet."""
        meta = result.meta
        if meta["size"] > max_bytes:
            name = bucket_errors.object_name(meta["path"])
            raise errors.UnreadableError(
                say(
                    "object-too-large",
                    "{name} in the bucket {bucket} has {bytes} bytes; the limit is "
                    "{most}. Was it written by hand?",
                    name=name,
                    bucket=self.name,
                    bytes=meta["size"],
                    most=max_bytes,
                )
            )
        return bytes(await result.bytes_async())

    async def _parse(self, key: str, data: bytes) -> Any:
        read = functools.partial(strict_json.loads, data, max_values=MAX_JSON_VALUES)
        try:
            return await asyncio.to_thread(read) if len(data) > _READ_AT_ONCE_BYTES else read()
        except ValueError as error:
            name = bucket_errors.object_name(key)
            message = say(
                "object-no-json",
                "{name} in the bucket {bucket} is not valid JSON "
                "({problem}). Was it written by hand?",
                name=name,
                bucket=self.name,
                problem=str(error)[:100],
            )
            raise errors.UnreadableError(message) from error


class _Parts:
    """A file's bytes in parts for obstore, which reads them in its own thread."""

    def __init__(self, file: IO[bytes], part_bytes: int, most_bytes: int) -> None:
        self.file = file
        self.part_bytes = part_bytes
        self.most_bytes = most_bytes
        self.size = 0
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        while part := self.file.read(min(self.part_bytes, self.most_bytes - self.size)):
            self.size += len(part)
            self.digest.update(part)
            yield part


def encode_json(value: Any) -> bytes:
    """Return ``value`` as the JSON that this package writes (``strict_json``)."""
    return strict_json.encode(value)


def _meta(entry: obstore.ObjectMeta) -> ObjectMeta:
    return ObjectMeta(entry["path"], entry["size"], entry["e_tag"], entry["last_modified"])


def _write(file: Any, digest: Any, chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)
