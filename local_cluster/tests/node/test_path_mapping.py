from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue_local.node.path_mapping import PathMapping

MAPPING = PathMapping({"/data": "/host/d", "/data/deep": "/host/deep", "/work/": "/host/w"})

PATHS = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        ("/data", "/host/d"),
        ("/data/", "/host/d/"),
        ("/data/a.csv", "/host/d/a.csv"),
        ("/data/deep/x", "/host/deep/x"),
        ("/work/run", "/host/w/run"),
        ("--in=/data --out=/work", "--in=/host/d --out=/host/w"),
        ("open('/data/x')", "open('/host/d/x')"),
        ("/bin:/data:/work", "/bin:/host/d:/host/w"),
        ("file:///data/x", "file:///host/d/x"),
        ("/database", "/database"),
        ("/data.csv", "/data.csv"),
        ("/data-2/x", "/data-2/x"),
        ("/other/data", "/other/data"),
        ("../data", "../data"),
        ("http://127.0.0.1:80/data", "http://127.0.0.1:80/data"),
    ],
)
def test_mount_paths_are_replaced_at_path_boundaries(text: str, mapped: str) -> None:
    assert MAPPING.apply(text) == mapped


def test_nothing_is_replaced_without_mounts() -> None:
    assert PathMapping({}).apply("/data") == "/data"
    assert PathMapping({"/": "/host"}).apply("/data") == "/data"


@given(mount=PATHS, rest=PATHS)
def test_a_path_below_a_mount_lands_below_its_folder(mount: str, rest: str) -> None:
    assert PathMapping({mount: "/HOST"}).apply(mount + rest) == "/HOST" + rest


@given(mount=PATHS, text=st.text(alphabet="abc./:= -", max_size=30))
def test_text_without_the_mount_path_stays_as_it_is(mount: str, text: str) -> None:
    if mount not in text:
        assert PathMapping({mount: "/HOST"}).apply(text) == text
