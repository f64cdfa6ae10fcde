"""Endpoints and the contract: each route carries its operation, and models write what they describe."""

from typing import Annotated, Any

import orjson
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from litestar import Controller
from litestar.enums import HttpMethod
from pydantic import Field

from service.http import routing
from service.http.bodies import Data, Page, ResponseBody, Version
from service.http.contract import Fixed
from service.http.contract.operations import Answer, Endpoint, Operation
from service.http.contract.schemas import describe


class Note(ResponseBody):
    """A note."""

    text: Annotated[str | None, Field(description="What it says.")]
    kind: str = ""
    version: Version


def operation(**others: Any) -> Operation:
    return Operation(id="listNotes", tag="Notes", summary="Notes", answers=(Answer(200, "Notes."),), **others)


def test_route_without_operation_cannot_be_made() -> None:
    decorator: Any = routing.post
    with pytest.raises(TypeError, match="operation"):
        decorator("/notes")


def test_endpoints_have_the_methods_and_paths_of_their_routes() -> None:
    listed, ended = operation(), operation()

    class NotesController(Controller):
        path = "/api/notes"

        @routing.route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], operation=listed)
        async def list_notes(self) -> None: ...

        @routing.delete("/{note_id:str}/text", operation=ended)
        async def delete_text(self, note_id: str) -> None: ...

    assert [*routing.endpoints_of([NotesController])] == [
        Endpoint("get", "/api/notes", listed),
        Endpoint("delete", "/api/notes/{note_id}/text", ended),
    ]


def test_two_schemas_of_one_name_raise() -> None:
    one, other = operation(schemas={"Note": {"type": "object"}}), operation(schemas={"Note": {}})
    with pytest.raises(ValueError, match="Note"):
        Fixed.of([Endpoint("get", "/a", one), Endpoint("get", "/b", other)])


def test_model_describes_what_it_writes() -> None:
    schema, named = describe(Data[Note])
    assert schema == {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"$ref": "#/components/schemas/Note"}},
        "additionalProperties": False,
    }
    assert named == {
        "Note": {
            "type": "object",
            "description": "A note.",
            "required": ["text", "_version"],
            "properties": {
                "text": {"type": ["string", "null"], "description": "What it says."},
                "kind": {"type": "string"},
                "_version": {"type": "integer", "minimum": 1},
            },
            "additionalProperties": False,
        }
    }
    written = Data.of(Note(text=None, version=3)).to_json()
    assert written == b'{"data":{"text":null,"_version":3}}'
    whole = {"components": {"schemas": named}, **schema}
    assert [*Draft202012Validator(whole).iter_errors(orjson.loads(written))] == []


def test_model_with_a_name_is_referred_to() -> None:
    class NotePage(Page[Note]):
        """Notes."""

    schema, named = describe(NotePage)
    assert schema == {"$ref": "#/components/schemas/NotePage"}
    assert set(named) == {"Note", "NotePage"}
    assert named["NotePage"]["required"] == ["data", "limit", "has_more"]
