"""What a mail says is known to nobody who reads the database while it waits."""

from models.mail import Mail
from service.kit.sealing import Sealer
from service.mail.messages import Message
from service.mail.post import Outbox
from service.storage.database import Database
from tests.conftest import SECRET

MESSAGE = Message(
    "ann@example.com", "Choose a password", "Follow https://shop.example/x#token=the-token-of-a-link\n"
)


async def test_a39_waiting_mail_has_no_token_or_recipient_in_the_clear(
    database: Database,
) -> None:
    await database.initialise([Mail])
    outbox = Outbox(Sealer([SECRET]))
    await outbox.put(MESSAGE, 3600)
    (stored,) = await Mail.get_motor_collection().find({}).to_list(None)
    assert not [
        text for text in ("the-token-of-a-link", "ann@example.com", "shop.example") if text in str(stored)
    ]
    claimed = await outbox.claim()
    assert claimed is not None
    assert claimed.message == MESSAGE
