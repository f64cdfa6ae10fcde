"""Cursors: a place in one list, as text that clients carry and cannot make themselves."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import Any, NoReturn

import bson
from bson import CodecOptions
from bson.binary import UuidRepresentation

from service.kit.errors import ParameterInvalid, Violation
from service.query.keyset import Keys, Place
from service.query.limits import MAXIMUM_CURSOR_VALUES_BYTES
from service.query.mongo import Filter

VERSION = b"\x01"
KEY_LABEL = b"sheaf cursor key"
LIST_BYTES = 8
SIGNATURE_BYTES = 16
"""What leaves 128 bits to guess. BLAKE2 with a key is a MAC (RFC 7693, 2.9), and costs a fifth of HMAC."""

_CODEC: "CodecOptions[dict[str, Any]]" = CodecOptions(
    tz_aware=False, uuid_representation=UuidRepresentation.STANDARD
)


class Cursors:
    """Writes cursors under a key derived from `secret`, and reads those under it or a previous one."""

    def __init__(self, secret: str, *previous: str) -> None:
        self._keys = [hmac.digest(each.encode(), KEY_LABEL, "sha256") for each in (secret, *previous)]

    def write(self, list_id: bytes, place: Place) -> str | None:
        """Return the cursor of a place in a list of `list_id`; None when its values are too long to carry."""
        values = None if place.values is None else list(place.values)
        try:
            document = bson.encode({"values": values, "is_backward": place.is_backward}, codec_options=_CODEC)
        except OverflowError:  # read as another type than it was stored as
            return None
        if len(document) > MAXIMUM_CURSOR_VALUES_BYTES:
            return None
        signed = VERSION + list_id + document
        return urlsafe_b64encode(signed + _signature(self._keys[0], signed)).rstrip(b"=").decode()

    def read(self, list_id: bytes, text: str) -> Place:
        """Return the place of a cursor in a list of `list_id`; raises ParameterInvalid.

        Nothing of it is looked at before its signature was found to be right.
        """
        raw = _decoded(text)
        signed, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
        is_ours = [hmac.compare_digest(_signature(key, signed), signature) for key in self._keys]
        if not any(is_ours) or signed[: len(VERSION)] != VERSION:
            _refuse("the cursor was not given out here, or not as it is")
        if signed[len(VERSION) : len(VERSION) + LIST_BYTES] != list_id:
            _refuse("the cursor is of another list: another collection, `filter`, `q` or `sort`")
        document = bson.decode(signed[len(VERSION) + LIST_BYTES :], codec_options=_CODEC)
        values = document["values"]
        return Place(None if values is None else tuple(values), document["is_backward"])


def list_id(collection: str, where: Filter | None, keys: Keys, search: str | None = None) -> bytes:
    """Name the list that pages are parts of: by collection, the client's filter, order and search.

    `collection` tells the collection from all others, also from one of the same name before it.
    """
    described = {
        "collection": collection,
        "where": where,
        "search": search,
        "sort": [[path, direction] for path, direction in keys],
    }
    encoded = bson.encode(described, codec_options=_CODEC)
    return hashlib.sha256(encoded).digest()[:LIST_BYTES]


def _signature(key: bytes, signed: bytes) -> bytes:
    return hashlib.blake2b(signed, key=key, digest_size=SIGNATURE_BYTES).digest()


def _decoded(text: str) -> bytes:
    """Read base64url without padding, each value in its one form (RFC 4648, 3.5)."""
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return b""
    return raw if urlsafe_b64encode(raw).rstrip(b"=").decode() == text else b""


def _refuse(detail: str) -> NoReturn:
    violation = Violation(detail, "cursor", parameter="cursor", hint="Leave `cursor` out to begin anew.")
    raise ParameterInvalid(violation.detail, hint=violation.hint, errors=[violation])
