"""Operations on API keys."""

from typing import Any

from service.http.contract.forms import closed, of_form
from service.http.contract.identity import MERGE_PATCH, TIME
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.http.contract.sessions import USER
from service.identity.forms.key_bodies import KeyChange, NewKey
from service.kit.errors import (
    DocumentInvalid,
    Forbidden,
    KeyNotFound,
    ParameterInvalid,
    SignInRequired,
    TooManyKeys,
)

Schema = dict[str, Any]

_TAG = "API keys"
_GUARDED = (SignInRequired, Forbidden, ParameterInvalid)
_PATH = "/api/keys/{key_id}"
_TEXT: Schema = {"type": "string"}
_OPTIONAL: Schema = {"type": ["string", "null"]}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_OPTIONAL_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
_NEW: Schema = {"name": "nightly export", "scopes": ["products:read", "orders:create"]}
_KEY: Schema = _NEW | {
    "id": "2f9c4a7e81b3d605",
    "user_id": USER["id"],
    "expires_at": None,
    "last_used_at": None,
    "last_used_address": None,
    "_version": 1,
    "_created_at": TIME,
    "_updated_at": TIME,
}
_ID: Schema = {
    "name": "key_id",
    "in": "path",
    "required": True,
    "description": "The key's id, which is also the part of it between the two `_`.",
    "schema": {"type": "string", "minLength": 1},
    "example": _KEY["id"],
}
_OF_USER: Schema = {
    "name": "user_id",
    "in": "query",
    "description": "Whose keys, for administrators; `*` for a page of everybody's, which may be filtered.",
    "schema": _TEXT,
}


def schemas() -> dict[str, Schema]:
    """Give the schemas of these operations' bodies and answers."""
    members: dict[str, Schema] = {
        "id": _TEXT,
        "name": _TEXT,
        "user_id": {"type": "string", "description": "For whom it acts."},
        "scopes": {"type": "array", "items": _TEXT},
        "expires_at": _OPTIONAL_MOMENT,
        "last_used_at": {**_OPTIONAL_MOMENT, "description": "To about a minute."},
        "last_used_address": _OPTIONAL,
        "_version": {"type": "integer", "minimum": 1},
        "_created_at": _MOMENT,
        "_updated_at": _MOMENT,
    }
    secret: Schema = {"type": "string", "description": "For `Authorization: Bearer …`; shown only now."}
    return {
        "ApiKey": closed(members, "An API key, without the key itself."),
        "MadeApiKey": closed({**members, "key": secret}, "A new API key."),
        "NewApiKey": of_form(NewKey),
        "ApiKeyChange": of_form(KeyChange),
        "ApiKeys": {
            "type": "object",
            "description": "All keys of a user, or one page of everybody's.",
            "required": ["data"],
            "properties": {"data": {"type": "array", "items": reference("ApiKey")}},
        },
    }


def operations() -> list[Operation]:
    """Give these operations."""
    answer = Answer(200, "The key.", data(reference("ApiKey")), example={"data": _KEY})
    made = {"data": {**_KEY, "key": "sheaf_2f9c4a7e81b3d605_…"}}
    return [
        Operation(
            method="get",
            path="/api/keys",
            id="listKeys",
            tag=_TAG,
            summary="The caller's API keys",
            answers=(Answer(200, "The keys.", reference("ApiKeys"), example={"data": [_KEY]}),),
            failures=_GUARDED,
            parameters=(_OF_USER,),
        ),
        Operation(
            method="post",
            path="/api/keys",
            id="createKey",
            tag=_TAG,
            summary="Make an API key",
            answers=(Answer(201, "The key.", data(reference("MadeApiKey")), ("Location",), example=made),),
            failures=(*_GUARDED, DocumentInvalid, TooManyKeys),
            bodies={JSON: Body(reference("NewApiKey"), _NEW)},
        ),
        Operation(
            method="get",
            path=_PATH,
            id="getKey",
            tag=_TAG,
            summary="One API key",
            answers=(answer,),
            failures=(*_GUARDED, KeyNotFound),
            parameters=(_ID,),
        ),
        Operation(
            method="patch",
            path=_PATH,
            id="updateKey",
            tag=_TAG,
            summary="Rename an API key",
            answers=(answer,),
            failures=(*_GUARDED, KeyNotFound, DocumentInvalid),
            parameters=(_ID,),
            bodies={
                media_type: Body(reference("ApiKeyChange"), {"name": "weekly export"})
                for media_type in (MERGE_PATCH, JSON)
            },
        ),
        Operation(
            method="delete",
            path=_PATH,
            id="revokeKey",
            tag=_TAG,
            summary="Revoke an API key",
            answers=(Answer(204, "It opens nothing any more."),),
            failures=(*_GUARDED, KeyNotFound),
            parameters=(_ID,),
        ),
    ]
