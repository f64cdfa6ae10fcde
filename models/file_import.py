"""What is remembered of the import of a file into a collection."""

from beanie import Document

from models.base import Stored


class FileImport(Stored, Document):
    """The latest import into one collection; its id is the collection's name."""

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is a name
    uid: str  # the collection's, which tells it from a later one of the same name
    fingerprint: str  # of the file as it was then
    documents: int  # documents in the file
    is_finished: bool = False

    class Settings:
        """Where it is stored."""

        name = "_imports"
