"""The OpenAPI document of these routes, for people and for generators of clients."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from jupyter_kueue import __version__
from jupyter_kueue.server.base import KueueHandler


class OpenApiHandler(KueueHandler):
    """``openapi.json``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the document, its server being this one."""
        self.check_query()
        server = {"url": url_path_join(self.base_url, "jupyter-kueue")}
        self.answer({**document(), "servers": [server]})


@functools.cache
def document() -> dict[str, Any]:
    """Return openapi.yaml with the schemas of the declared types. Do not change it."""
    # Jupyter's start does not wait for them.
    import yaml  # noqa: PLC0415

    from jupyter_kueue.server.schemas import schemas  # noqa: PLC0415

    text = Path(__file__).with_name("openapi.yaml").read_text(encoding="utf-8")
    parsed: dict[str, Any] = yaml.safe_load(text)
    parsed["info"]["version"] = __version__
    parsed["components"]["schemas"] |= schemas()
    return parsed
