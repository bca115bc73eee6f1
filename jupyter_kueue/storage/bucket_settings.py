"""How to access a bucket: a URL and obstore's options, from a folder of files.

It sends no request. Messages name options, never their values.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.exceptions import BaseError, UnknownConfigurationKeyError
from obstore.store import LocalStore, from_url

from jupyter_kueue import patience
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.storage import bucket_errors

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# Options of the HTTP client instead of the store (obstore's ClientConfig).
CLIENT_OPTIONS = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "http1_only",
        "http2_only",
        "proxy_ca_certificate",
        "proxy_url",
        "timeout",
    }
)


def open_store(
    where: Path | str, options: dict[str, str], retries: int, retry_seconds: float
) -> tuple[ObjectStore, str]:
    """Return the store at a URL or described by a folder, and its name for messages.

    Raises:
        NotConfiguredError: the folder, the URL or an option is missing or invalid.
    """
    settings = read_folder(where) if isinstance(where, Path) else {"url": where}
    settings |= options
    url = settings.pop("url")
    client: dict[str, Any] = {
        "connect_timeout": f"{patience.BUCKET_CONNECT_SECONDS}s",
        "timeout": f"{patience.BUCKET_ANSWER_SECONDS}s",
    }
    for option in CLIENT_OPTIONS & settings.keys():
        client[option] = settings.pop(option)
    endpoint = settings.get("endpoint")
    name = f"{_shown(url)} at {_shown(endpoint)}" if endpoint else _shown(url)
    try:
        if url.startswith("file:"):
            return LocalStore.from_url(url, mkdir=True, automatic_cleanup=True), name
        store = from_url(
            url,
            config=settings,  # type: ignore[call-overload]  # each kind has its own keys
            client_options=client,
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=retry_seconds),
            },
        )
    except UnknownConfigurationKeyError as error:
        message = say(
            "bucket-option-unknown",
            "The bucket {bucket} has an unknown option: {problem}",
            bucket=name,
            problem=bucket_errors.first_line(error),
        )
        raise errors.NotConfiguredError(message) from error
    except (BaseError, ValueError, OSError) as error:
        message = say(
            "bucket-not-opened",
            "The bucket {bucket} cannot be opened: {problem}. Use a URL "
            "such as s3://name/prefix, gs://, az:// or file:///, with "
            "obstore's options.",
            bucket=name,
            problem=bucket_errors.first_line(error),
        )
        raise errors.NotConfiguredError(message) from error
    return store, name


def _shown(url: str) -> str:
    """Return a URL without possible credentials: user, password and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def read_folder(folder: Path) -> dict[str, str]:
    """Return the options in a folder with one file per option; ``url`` is required.

    A Secret volume also contains ``..data`` and a dated folder; both start with two dots.
    """
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(".")]
        settings = {path.name: path.read_text().strip() for path in files}
    except (OSError, UnicodeDecodeError) as error:
        message = say(
            "bucket-settings-not-read",
            "The bucket's settings in {folder} cannot be read: {problem}",
            folder=str(folder),
            problem=str(error),
        )
        raise errors.NotConfiguredError(message) from error
    if not settings.get("url"):
        message = say(
            "bucket-without-url",
            "{folder} has no file 'url'. Write the bucket's URL into it (s3://name/prefix).",
            folder=str(folder),
        )
        raise errors.NotConfiguredError(message)
    return settings
