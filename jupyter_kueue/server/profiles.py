"""What users choose from: profiles (sizes) and environments (images)."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.server.base import KueueHandler


class ProfilesHandler(KueueHandler):
    """``profiles``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List the profiles, by name; one of them is the default."""
        self.check_query()
        items = await (await self.kueue.environments()).list_profiles()
        self.answer({"items": items, "total": len(items), "next_cursor": None})


class EnvironmentsHandler(KueueHandler):
    """``environments``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List the environments, by name; one of them is the default."""
        self.check_query()
        items = await (await self.kueue.environments()).list_environments()
        self.answer({"items": items, "total": len(items), "next_cursor": None})
