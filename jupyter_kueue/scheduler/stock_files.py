"""The files that jupyter-scheduler's own backend keeps of a job or a definition.

They are in its staging area, in a folder named after the id: the notebook, its output documents,
and other files of the notebook or its folder. Nothing is changed there.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_kueue.storage.input_upload import MAX_PATH_BYTES

# The pattern of jupyter-scheduler's file names (utils.py, create_output_filename).
_STAMP = "%Y-%m-%d-%I-%M-%S-%p"
_STAMP_PATTERN = r"(\d{4}(?:-\d{2}){5}-\w*)"
_SKIPPED_FOLDERS = frozenset({".ipynb_checkpoints", "__pycache__"})
_MOST_HOURS_FROM_UTC = 15
_QUARTER_OF_AN_HOUR = 900


@dataclass(frozen=True)
class StockFiles:
    """The files of one job or definition.

    Attributes:
        notebook: the notebook it was created from, None if that is gone.
        documents: output format -> file.
        others: path below the folder -> file.
        left_out: path below the folder -> why it cannot be imported.
        utc_offset: of the time zone in the documents' names, such as ``+0200``.
    """

    notebook: Path | None
    documents: dict[str, Path]
    others: dict[str, Path]
    left_out: dict[str, str] = field(default_factory=dict)
    utc_offset: str = "+0000"


def find(
    staging: Path,
    stock_id: str,
    input_filename: str,
    formats: tuple[str, ...],
    created: dt.datetime,
) -> StockFiles:
    """Return the files of the job ``stock_id``; none if its folder is gone.

    Args:
        staging: the staging area.
        stock_id: the id in the stock backend.
        input_filename: the notebook's name there.
        formats: the requested documents.
        created: when the job was created, which is part of the documents' names.

    Raises:
        ValueError: the id or a name is not valid for a folder or file there.
        OSError: the folder cannot be read.
    """
    folder = folder_of(staging, stock_id)
    there, left_out = _walk(folder)
    notebook = there.pop(input_filename, None)
    stem = os.path.splitext(input_filename)[0]  # noqa: PTH122 - as jupyter-scheduler does
    documents: dict[str, Path] = {}
    offset = created.astimezone().utcoffset() or dt.timedelta()
    for output_format in formats:
        pattern = rf"{re.escape(stem)}-{_STAMP_PATTERN}\.{re.escape(output_format)}"
        for name in sorted(there):
            match = re.fullmatch(pattern, name)
            if match is not None:
                documents[output_format] = there.pop(name)
                offset = _offset(match[1], created) or offset
                break
    return StockFiles(notebook, documents, there, left_out, _written(offset))


def folder_of(staging: Path, stock_id: str) -> Path:
    """Return the folder of a job or definition.

    Raises:
        ValueError: the id cannot name a folder.
    """
    if not stock_id or stock_id in (".", "..") or "/" in stock_id or "\0" in stock_id:
        raise ValueError(f"its id {stock_id[:60]!r} cannot be the name of a folder")
    return staging / stock_id


def _walk(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the regular files below ``folder`` by relative path, and other entries."""
    found: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for where, folders, files in os.walk(folder, onerror=_raise_unless_gone):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        # Links to folders are not followed, and are reported like links to files.
        links = [name for name in folders if Path(where, name).is_symlink()]
        for name in sorted([*files, *links]):
            file = Path(where, name)
            path = file.relative_to(folder).as_posix()
            if not path.isprintable() or "\\" in path:
                shown = path.encode(errors="backslashreplace").decode()
                left_out[shown] = "Its name has characters that some buckets do not allow."
            elif len(path.encode()) > MAX_PATH_BYTES:
                left_out[path] = "Its path is too long for a bucket."
            elif not stat.S_ISREG(file.lstat().st_mode):
                left_out[path] = "It is a link, or not a regular file."
            else:
                found[path] = file
    return found, left_out


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _offset(stamp: str, created: dt.datetime) -> dt.timedelta | None:
    """Return the UTC offset in a document's name; None if the name does not show it."""
    try:
        named = dt.datetime.strptime(stamp, _STAMP)  # noqa: DTZ007 - the zone is what is looked for
    except ValueError:
        return None
    utc = created.astimezone(dt.UTC).replace(tzinfo=None, microsecond=0)
    offset = named - utc
    is_zone = offset.total_seconds() % _QUARTER_OF_AN_HOUR == 0
    return offset if is_zone and abs(offset) < dt.timedelta(hours=_MOST_HOURS_FROM_UTC) else None


def _written(offset: dt.timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
