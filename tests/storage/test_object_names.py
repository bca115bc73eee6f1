"""Which names fit for any store, and what type a file is shown as."""

from __future__ import annotations

import pytest

from jupyter_kueue.storage import object_names


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("report.html", "text/html"),
        ("a/b.c/data.csv", "text/csv"),
        ("no-extension", None),
        ("data:text/html,x", None),
        ("data:é/x,y", None),
        ("data:é", None),
        ("data:text/html;charset=é,x.csv", "text/csv"),
        ("http://host/x.png?y", None),
        (".png", None),
        ("x\udcff.png", "image/png"),
    ],
)
def test_the_type_is_the_extensions_and_never_the_names(path: str, media_type: str | None) -> None:
    assert object_names.media_type(path) == media_type


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\x7fb", "\udcff", "a\ufffeb", "\uffff"])
def test_what_no_store_keeps(name: str) -> None:
    assert object_names.UNFIT.search(name)


@pytest.mark.parametrize("name", ["a b", "é", "\ufffd", "\U0001f600", "\u202e", "%41", "~", "a:b"])
def test_what_stores_keep(name: str) -> None:
    assert not object_names.UNFIT.search(name)
