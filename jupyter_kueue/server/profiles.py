"""What users choose from: profiles (sizes) and environments (images)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_kueue.domain.choices import EnvironmentList, ProfileList
    from jupyter_kueue.server.base import KueueHandler


async def list_profiles(request: KueueHandler) -> ProfileList:
    """List the profiles, by name; one of them is the default."""
    items = await (await request.kueue.environments()).list_profiles()
    return {"items": items, "total": len(items), "next_cursor": None}


async def list_environments(request: KueueHandler) -> EnvironmentList:
    """List the environments, by name; one of them is the default."""
    items = await (await request.kueue.environments()).list_environments()
    return {"items": items, "total": len(items), "next_cursor": None}
