"""An administrator, who changes the definition of a collection again and again, and asks its documents."""

import asyncio
from itertools import count
from typing import Any

from scripts.measuring.soaking.clients import Client

FILMS = "soak-films"
PAUSE_S = 2.0


def definition(number: int) -> dict[str, Any]:
    """Return the definition of a collection, each with another schema and other rules."""
    fields = {"title": {"type": "string"}, f"field_{number % 5}": {"type": "integer"}}
    rules = {"read": "anyone", "create": "user" if number % 2 else "role:editor"}
    return {"name": FILMS, "schema": {"type": "object", "properties": fields}, "rules": rules}


async def administer(client: Client, token: str, gate: asyncio.Event, stop: asyncio.Event) -> None:
    """Change the definition every few seconds while the gate is open, until told to stop."""
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/api/collections/{FILMS}"
    async with client.http:
        body = definition(0)
        await client.ask("define", "POST", "/api/collections", {201}, json=body, headers=headers)
        for number in count(1):
            if stop.is_set():
                return
            await gate.wait()
            body = definition(number)
            await client.ask("define", "PUT", path, {200}, json=body, headers=headers)
            await client.ask("list", "GET", f"/api/{FILMS}", {200})
            await asyncio.sleep(PAUSE_S)
