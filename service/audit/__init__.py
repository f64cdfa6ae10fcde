"""The audit log: who did what to users, sessions, keys, definitions and rules; it can only be added to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from models.audit_event import AuditEvent
from models.base import utc_now
from service.storage import classes


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where: `id` is a user's id; an operator is at the command line."""

    kind: Literal["anonymous", "user", "key", "operator"]
    id: str | None = None
    key_id: str | None = None
    address: str | None = None
    request_id: str | None = None


OPERATOR = Actor("operator")


@dataclass(frozen=True, slots=True)
class AuditContext:
    """Who acts; notes what they do in the audit log, where it is kept for `ttl_s` seconds."""

    actor: Actor
    ttl_s: float

    async def note(
        self, action: str, target_kind: str, target_id: str | None, details: Mapping[str, Any] | None = None
    ) -> None:
        """Note what was done, such as `user.disabled`; within a transaction, only if it commits.

        Details are plain facts, such as the roles before and after; never a secret.
        """
        now = utc_now()
        event = AuditEvent(
            at=now,
            action=action,
            actor={"kind": self.actor.kind, "id": self.actor.id, "key_id": self.actor.key_id},
            address=self.actor.address,
            request_id=self.actor.request_id,
            target={"kind": target_kind, "id": target_id},
            details=dict(details or {}),
            expires_at=now + timedelta(seconds=self.ttl_s),
        )
        await classes.insert(event)
