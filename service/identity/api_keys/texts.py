"""API keys as they are written: `sheaf_<id>_<secret>`, so that scanners for leaked secrets know them."""

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

from service.kit.sealing import digest

PREFIX = "sheaf_"
ID_BYTES = 8
SECRET_CHARACTERS = 43
"""Of 62 letters and digits: 256 bits."""

CHECKSUM_CHARACTERS = 6
"""CRC-32 in the same letters. It keeps no attacker off, but a key that was cut or mistyped costs no query."""

_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(
    rf"(({PREFIX}([0-9a-f]{{{ID_BYTES * 2}}})_[0-9A-Za-z]{{{SECRET_CHARACTERS}}})"
    rf"([0-9A-Za-z]{{{CHECKSUM_CHARACTERS}}}))",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key: its id, the hash under which it is stored, and the text itself, which is shown once."""

    id: str
    hash: str
    text: str = field(repr=False)


def compose() -> KeyText:
    """Make a new key."""
    key_id = secrets.token_hex(ID_BYTES)
    secret = "".join(secrets.choice(_LETTERS) for _ in range(SECRET_CHARACTERS))
    unchecked = f"{PREFIX}{key_id}_{secret}"
    text = unchecked + _checksum(unchecked)
    return KeyText(key_id, digest(text), text)


def read(text: str) -> KeyText | None:
    """Read what somebody presents as a key; None when it has not the form of one.

    >>> read("sheaf_0000000000000000_" + "0" * 49) is None
    True
    """
    form = _FORM.fullmatch(text)
    if form is None or _checksum(form[2]) != form[4]:
        return None
    return KeyText(form[3], digest(text), text)


def _checksum(text: str) -> str:
    number, letters = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, position = divmod(number, len(_LETTERS))
        letters += _LETTERS[position]
    return letters
