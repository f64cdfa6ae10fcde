"""Refreshing: a refresh token for its successor and a new access token (RFC 9700, 4.14.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from models.session import Session
from models.user import User
from service.audit import AuditContext
from service.identity.core import accounts, browsers
from service.identity.core.browsers import Browsers
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import (
    Client,
    Limits,
    Opened,
    RefreshTokens,
    Sessions,
    open_successor,
    principal_of,
    seal_successor,
)
from service.identity.core.tokens import Tokens
from service.kit.errors import DocumentNotFound, SessionEnded
from service.kit.sealing import digest
from service.storage import classes
from service.storage.classes import is_to_come, until
from service.storage.database import Database

GRACE_S = 10.0
"""How long after its use the previous token still gets the same successor, for requests overlap."""


@dataclass(frozen=True, slots=True)
class Refreshing:
    """Exchanges refresh tokens. Each is used once, by one atomic update; all times are the database's."""

    database: Database
    tokens: Tokens
    refresh_tokens: RefreshTokens
    revocations: Revocations
    browsers: Browsers
    sessions: Sessions
    limits: Limits

    async def refresh(
        self, presented: str, client: Client, audit: AuditContext, csrf_token: str | None = None
    ) -> tuple[User, Opened]:
        """Return the account as it is now, and its session's new tokens.

        Whoever presents the previous token within GRACE_S gets the successor that it already has. A token
        that was used before is somebody's who copied it, or whom it was copied from: the session ends.
        Raises SessionEnded; in cookie mode CrossSite unless the CSRF token is the session's.
        """
        claim = self.refresh_tokens.read(presented)
        if claim is None:
            raise SessionEnded
        used = digest(presented)
        while True:  # again if another request was quicker, for then it is not the present token any more
            found = await self._find(claim.session_id, client)
            self._check_page(found, client, csrf_token)
            if used == found["token_hash"]:
                user = await self._user(found, audit)
                successor = self.refresh_tokens.issue(claim.session_id, found["generation"] + 1)
                lifetime_s = await self._rotate(found, presented, successor, client)
                if lifetime_s is not None:
                    return user, self._opened(user, found, successor, lifetime_s)
                continue
            present = self._successor(found, used, presented)
            if present is None:
                await self._refuse(found, audit, is_reuse=claim.is_ours or used == found["previous_hash"])
            user = await self._user(found, audit)
            return user, self._opened(user, found, present, found["lifetime_s"])

    async def session_of(self, presented: str) -> str | None:
        """Return the id of the session that a token was given out for; None for what is not ours."""
        claim = self.refresh_tokens.read(presented)
        if claim is None:
            return None
        if not claim.is_ours:  # unless it was made under a secret that is in use no more
            present = {"_id": claim.session_id, "token_hash": digest(presented)}
            return None if await Session.find_one(present) is None else claim.session_id
        return claim.session_id

    async def _find(self, session_id: str, client: Client) -> Mapping[str, Any]:
        """Read a live session, with what the database's clock says of it; raises SessionEnded."""
        wanted = {"_id": session_id, "mode": client.mode, "$expr": is_to_come("$expires_at")}
        timed = {
            "since_rotation_ms": {"$multiply": [until("$rotated_at"), -1]},
            "lifetime_s": _seconds(until("$expires_at")),
        }
        found = await Session.find(wanted).aggregate([{"$set": timed}]).to_list()
        if not found:
            raise SessionEnded
        return found[0]

    def _check_page(self, found: Mapping[str, Any], client: Client, csrf_token: str | None) -> None:
        """Raise CrossSite unless a browser's request has the session's CSRF token.

        That which it was told last is good also when the secret that it was made with is in use no more.
        """
        if client.mode != "cookie" or self.browsers.is_csrf_token(found["_id"], csrf_token):
            return
        if csrf_token is None or digest(csrf_token) != found["csrf_hash"]:
            raise browsers.wrong_token()

    async def _user(self, found: Mapping[str, Any], audit: AuditContext) -> User:
        """Read the account anew; without one in use the session ends."""
        try:
            return await accounts.get(found["user_id"])
        except DocumentNotFound:
            await self._end(found, audit, "session.ended")
            raise SessionEnded from None

    async def _rotate(
        self, found: Mapping[str, Any], presented: str, successor: str, client: Client
    ) -> int | None:
        """Replace the token by its successor; returns the session's lifetime, None when too late."""
        idle = {"$add": ["$$NOW", int(self.limits.idle_ttl_s * 1000)]}
        texts = {
            "token_hash": digest(successor),
            "previous_hash": found["token_hash"],
            "sealed_successor": seal_successor(presented, successor),
            "csrf_hash": digest(self.browsers.csrf_token(found["_id"])),
            "address": client.address,
            "device": client.shown_device,
        }
        change = {
            **{name: {"$literal": text} for name, text in texts.items()},  # a device may begin with `$`
            "generation": found["generation"] + 1,
            "rotated_at": "$$NOW",
            "last_used_at": "$$NOW",
            "expires_at": {"$min": ["$ends_at", idle]},
            "_updated_at": "$$NOW",
        }
        present = {
            "_id": found["_id"],
            "token_hash": found["token_hash"],
            "$expr": is_to_come("$expires_at"),
        }
        rotated = await classes.compute(Session, present, [{"$set": change}])
        if rotated is None:
            return None
        return int((rotated.expires_at - rotated.last_used_at).total_seconds())

    def _successor(self, found: Mapping[str, Any], used: str, presented: str) -> str | None:
        """Return what the previous token was exchanged for, within the grace period."""
        if used != found["previous_hash"] or found["since_rotation_ms"] > GRACE_S * 1000:
            return None
        return open_successor(presented, found["sealed_successor"])

    async def _refuse(self, found: Mapping[str, Any], audit: AuditContext, *, is_reuse: bool) -> NoReturn:
        """Raise SessionEnded, and see to it when the token is one that was given out."""
        if is_reuse:
            await self._end(found, audit, "session.reuse_detected")
        raise SessionEnded

    async def _end(self, found: Mapping[str, Any], audit: AuditContext, action: str) -> None:
        async def end() -> None:
            if await self.sessions.end(found["_id"], found["user_id"]):
                await audit.note(action, "session", found["_id"], {"user": found["user_id"]})

        await self.database.transaction(end)
        await self.revocations.catch_up()

    def _opened(self, user: User, found: Mapping[str, Any], successor: str, lifetime_s: int) -> Opened:
        session_id = found["_id"]
        return Opened(
            session_id,
            self.tokens.issue(principal_of(user, session_id)),
            successor,
            self.browsers.csrf_token(session_id),
            lifetime_s,
        )


def _seconds(milliseconds: Any) -> dict[str, Any]:
    return {"$toInt": {"$trunc": {"$divide": [milliseconds, 1000]}}}
