"""Whether the ids that a file brings can be the ids of its documents."""

import json
import re
from typing import Any, Literal

from service.documents.ids import RESERVED
from service.query.kinds import MAXIMUM_SAFE_INTEGER

IdType = Literal["integer", "uuid", "objectid", "string"]

MAXIMUM_TEXT_ID_CHARACTERS = 200

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
_SET_ASIDE = ("source_id", *(f"source_id_{number}" for number in range(2, 10)))


class IdSurvey:
    """What is known of the member `id` once every document has been added."""

    def __init__(self) -> None:
        self.count = 0
        self._missing = 0
        self._has_member = False
        self._forms: set[str] = set()
        self._seen: set[int] = set()
        self._repeated: Any = None
        self._aside = set(_SET_ASIDE)

    def add(self, document: dict[str, Any]) -> None:
        """Take note of one document's `id`."""
        self.count += 1
        if not self._aside.isdisjoint(document):
            self._aside.difference_update(document)
        value = document.get("id")
        if value is None:
            self._missing += 1
            self._has_member |= "id" in document
            return
        self._has_member = True
        if self._repeated is None:
            self._forms.add(_form(value))
            mark = (
                value if type(value) is int else hash(value.lower() if isinstance(value, str) else str(value))
            )
            if mark in self._seen:
                self._repeated = value
                self._seen.clear()
            self._seen.add(mark)

    @property
    def id_type(self) -> IdType | None:
        """Tell the type of the ids, None where the file's `id` cannot be the documents' id."""
        if self._missing or self._repeated is not None or not self._forms:
            return None
        forms = self._forms
        if len(forms) == 1:
            (form,) = forms
            return form if form in ("integer", "uuid", "objectid", "string") else None  # type: ignore[return-value]
        return "string" if forms <= {"uuid", "objectid", "string"} else None

    @property
    def aside(self) -> str | None:
        """Give the name under which the file's `id` is kept, None when there is none to keep."""
        if self.id_type is not None or not self._has_member:
            return None
        return min(self._aside, default="original_id")

    @property
    def reason(self) -> str:
        """Say why the file's `id` cannot be the documents' id."""
        if self._missing:
            return f"{self._missing} of {self.count} documents have no `id`"
        if self._repeated is not None:
            return f"the `id` {json.dumps(self._repeated)[:80]} occurs more than once"
        if "other" in self._forms:
            return "some values of `id` cannot be in a URL"
        return "`id` is an integer in some documents and text in others"


def _form(value: Any) -> str:
    if type(value) is int:
        return "integer" if abs(value) <= MAXIMUM_SAFE_INTEGER else "other"
    if not isinstance(value, str):
        return "other"
    if _UUID.fullmatch(value):
        return "uuid"
    if _OBJECT_ID.fullmatch(value):
        return "objectid"
    is_short = 0 < len(value) <= MAXIMUM_TEXT_ID_CHARACTERS
    return (
        "string"
        if is_short and "/" not in value and value.isprintable() and value not in {".", "..", *RESERVED}
        else "other"
    )
