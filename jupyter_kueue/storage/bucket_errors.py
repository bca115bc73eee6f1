"""Translation of obstore's errors into this package's errors.

obstore has types for a missing key, a refusal and a conflict; a full, missing or silent bucket
shows only in the text of the server's answer. Messages name the bucket and the object without its
key prefix, and never quote the answer, which may contain secrets.
"""

from __future__ import annotations

from obstore import exceptions

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors

# What obstore's functions raise: its own exceptions and three builtins.
OBSTORE_ERRORS = (exceptions.BaseError, FileNotFoundError, NotImplementedError, ValueError, OSError)

# Error codes of S3, GCS, Azure and SeaweedFS, and texts of a file system.
NO_BUCKET = ("<Code>NoSuchBucket<", "<Code>ContainerNotFound<")
FULL = (
    "status code: 507",
    "<Code>InsufficientStorage",
    "StorageFull<",
    "<Code>QuotaExceeded",
    "<Code>XMinioStorageFull",
    "No space left on device",
)
WRONG_CREDENTIALS = (
    "<Code>InvalidAccessKeyId<",
    "<Code>SignatureDoesNotMatch<",
    "<Code>ExpiredToken<",
    "<Code>InvalidToken<",
    "<Code>AuthenticationFailed<",
)
REFUSED = (
    "status code: 401",
    "status code: 403",
    "Permission denied (os error",
    "lacked the necessary privileges",
    "lacked valid authentication",
)
NO_SUCH_RANGE = ("status code: 416", "Requested range was invalid")
# All that SeaweedFS answers when its disk is full.
SERVER_ERROR = "status code: 5"
SILENT = ("HTTP error:", "error sending request", "operation timed out")


_DOING = {
    "copy": say("doing-copy", "copy"),
    "create": say("doing-create", "create"),
    "delete": say("doing-delete", "delete"),
    "list": say("doing-list", "list"),
    "read": say("doing-read", "read"),
    "write": say("doing-write", "write"),
}


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters."""
    return next(iter(str(error).splitlines()), "")[:200].rstrip(".")


def object_name(key: str) -> str:
    """Return an object's name for messages: users know files, not keys."""
    return key.rstrip("/").rpartition("/")[2]


def translate(error: Exception, *, doing: str, key: str, bucket: str) -> errors.JupyterKueueError:
    """Return this package's error for what obstore raised while ``doing`` something to ``key``."""
    text = str(error)
    name = object_name(key)
    what: str = name or say("its-content", "its content")
    if any(word in text for word in NO_BUCKET):
        return errors.BucketUnavailableError(
            say(
                "bucket-missing",
                "The bucket {bucket} does not exist. Create it, or correct the bucket's URL.",
                bucket=bucket,
            )
        )
    if isinstance(error, FileNotFoundError):
        return errors.NotFoundError(
            say("not-in-bucket", "{name} is not in the bucket {bucket}.", name=name, bucket=bucket)
        )
    if isinstance(error, exceptions.AlreadyExistsError):
        return errors.ConflictError(
            say(
                "exists-in-bucket",
                "{name} already exists in the bucket {bucket}.",
                name=name,
                bucket=bucket,
            )
        )
    if isinstance(error, exceptions.PreconditionError):
        return errors.ConflictError(
            say(
                "changed-in-bucket",
                "{name} in the bucket {bucket} was changed at the same time. Try again.",
                name=name,
                bucket=bucket,
            )
        )
    if isinstance(error, ValueError) and "parse path" in text:
        return errors.InvalidRequestError(
            {
                "path": say(
                    "object-name-invalid", "{name} is not a valid object name", name=repr(key)
                )
            }
        )
    if any(word in text for word in NO_SUCH_RANGE):
        return errors.RangeNotSatisfiableError(
            say(
                "no-such-bytes",
                "{name} in the bucket {bucket} does not have these bytes.",
                name=name,
                bucket=bucket,
            )
        )
    return _trouble(text, doing, what, bucket) or errors.BucketUnavailableError(
        say(
            "bucket-could-not",
            "The bucket {bucket} could not {doing} {what} ({problem}).",
            bucket=bucket,
            doing=_DOING.get(doing, doing),
            what=what,
            problem=first_line(error),
        )
    )


def _trouble(text: str, doing: str, what: str, bucket: str) -> errors.JupyterKueueError | None:
    """Return the error for a bucket that is full, refuses or does not answer, otherwise None."""
    if any(word in text for word in FULL):
        return errors.BucketUnavailableError(
            say(
                "bucket-full",
                "The bucket {bucket} is full. Delete runs to free space, or ask its administrator.",
                bucket=bucket,
            )
        )
    if any(word in text for word in WRONG_CREDENTIALS):
        return errors.ForbiddenError(
            say(
                "bucket-refuses-credentials",
                "The bucket {bucket} rejects the credentials: they are unknown or "
                "have expired. Correct access_key_id and secret_access_key.",
                bucket=bucket,
            )
        )
    if any(word in text for word in REFUSED):
        return errors.ForbiddenError(
            say(
                "bucket-refuses",
                "The bucket {bucket} does not allow these credentials to {doing} "
                "{what}. Ask its administrator to allow them to read, write, list and "
                "delete there.",
                bucket=bucket,
                doing=_DOING.get(doing, doing),
                what=what,
            )
        )
    if SERVER_ERROR in text:
        return errors.BucketUnavailableError(
            say(
                "bucket-server-error",
                "The bucket {bucket} could not {doing} {what}: its server reported an "
                "error. It may be full or still starting. Try again later; if this "
                "lasts, check its disk and its log.",
                bucket=bucket,
                doing=_DOING.get(doing, doing),
                what=what,
            )
        )
    if any(word in text for word in SILENT):
        return errors.BucketUnavailableError(
            say(
                "bucket-not-answering",
                "The bucket {bucket} does not answer. Try again later, or check its endpoint.",
                bucket=bucket,
            )
        )
    return None
