"""What is stored: one Beanie document class per noun."""

from beanie import Document

from models.api_key import ApiKey
from models.audit_event import AuditEvent
from models.counter import Counter
from models.definition import CollectionDefinition
from models.file_import import FileImport
from models.lockout import KnownPlace, Lockout
from models.mail import Mail
from models.one_time_token import OneTimeToken
from models.product import Product
from models.remembered_answer import RememberedAnswer
from models.revocation import Revocation
from models.second_factor import SecondFactor
from models.session import Session
from models.user import User

__all__ = [
    "DOCUMENTS",
    "ApiKey",
    "AuditEvent",
    "CollectionDefinition",
    "Counter",
    "FileImport",
    "KnownPlace",
    "Lockout",
    "Mail",
    "OneTimeToken",
    "Product",
    "RememberedAnswer",
    "Revocation",
    "SecondFactor",
    "Session",
    "User",
]

DOCUMENTS: tuple[type[Document], ...] = (
    ApiKey,
    AuditEvent,
    CollectionDefinition,
    Counter,
    FileImport,
    KnownPlace,
    Lockout,
    Mail,
    OneTimeToken,
    Product,
    RememberedAnswer,
    Revocation,
    SecondFactor,
    Session,
    User,
)
"""Every code-first document. Those whose collection does not start with `_` are served under `/api/`."""
