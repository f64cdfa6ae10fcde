"""What is stored: one Beanie document class per noun."""

from beanie import Document

from models.counter import Counter
from models.definition import CollectionDefinition
from models.file_import import FileImport
from models.product import Product
from models.remembered_answer import RememberedAnswer
from models.user import User

__all__ = [
    "DOCUMENTS",
    "CollectionDefinition",
    "Counter",
    "FileImport",
    "Product",
    "RememberedAnswer",
    "User",
]

DOCUMENTS: tuple[type[Document], ...] = (
    CollectionDefinition,
    Counter,
    FileImport,
    Product,
    RememberedAnswer,
    User,
)
"""Every code-first document. Those whose collection does not start with `_` are served under `/api/`."""
