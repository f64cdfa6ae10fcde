"""Setting mail up: from plain values to what sends."""

from pathlib import Path

import structlog

from service.kit.sealing import Sealer
from service.mail.links import Links
from service.mail.messages import sender_of
from service.mail.outbox import Outbox
from service.mail.post import Allowance, Post
from service.mail.smtp import Smtp
from service.mail.templates import Templates
from service.mail.transports import Folder, Transport

log = structlog.get_logger("sheaf.mail")


def open_post(
    sealer: Sealer,
    templates: Templates,
    *,
    server_url: str | None,
    sender: str | None,
    folder: Path | None,
    links: Links | None,
    allowance: Allowance | None,
) -> Post:
    """Give what mails go by: a server, else a folder, else nothing, of which it warns; raises StartupFailure.

    Without links, for want of a URL for them to begin with, there is no mail either.
    """
    transport: Transport | None = None
    if server_url is not None:
        transport = Smtp(server_url, sender_of(sender or ""))
    elif folder is not None:
        transport = Folder(folder)
    if transport is None or links is None:
        log.warning("mail.not_configured", hint="Set SHEAF_SMTP_URL, SHEAF_MAIL_FROM and SHEAF_PUBLIC_URL.")
    return Post(Outbox(sealer), templates, links, transport, allowance)
