"""Operations of administrators: on users, and on the audit log."""

from typing import Any

from service.http.contract.failures import OF_KEYS
from service.http.contract.forms import closed, of_form
from service.http.contract.identity import MERGE_PATCH, NOT_MODIFIED
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.http.contract.sessions import USER
from service.identity.forms.user_bodies import MAXIMUM_ATTRIBUTES_BYTES, NewUser, UserChange
from service.kit.errors import (
    DocumentInvalid,
    DocumentNotFound,
    Duplicate,
    Forbidden,
    LastAdministrator,
    ParameterInvalid,
    SignInRequired,
    Stale,
)

Schema = dict[str, Any]

_TAG = "Administration"
_TEXT: Schema = {"type": "string"}
_OPTIONAL: Schema = {"type": ["string", "null"]}
_BOOLEAN: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_GUARDED = (SignInRequired, Forbidden, ParameterInvalid)
_FATES = ("keep", "delete", "transfer")
_PATH = "/api/users/{user_id}"
_ID: Schema = {
    "name": "user_id",
    "in": "path",
    "required": True,
    "description": "The user's id.",
    "schema": {"type": "string", "minLength": 1},
    "example": USER["id"],
}
_MANAGED = USER | {
    "is_email_verified": True,
    "attributes": {"team": "red"},
    "is_disabled": False,
    "has_password": True,
}


def schemas() -> dict[str, Schema]:
    """Give the schemas of these operations' bodies and answers."""
    user: dict[str, Schema] = {
        "id": _TEXT,
        "email": _TEXT,
        "is_email_verified": _BOOLEAN,
        "name": _OPTIONAL,
        "roles": {"type": "array", "items": _TEXT},
        "attributes": {
            "type": "object",
            "description": f"For rules, as `$user.attributes.…`; at most {MAXIMUM_ATTRIBUTES_BYTES} bytes.",
        },
        "is_disabled": _BOOLEAN,
        "has_password": _BOOLEAN,
        "_version": {"type": "integer", "minimum": 1},
        "_created_at": _MOMENT,
        "_updated_at": _MOMENT,
    }
    who: dict[str, Schema] = {"kind": _TEXT, "id": _OPTIONAL}
    event: dict[str, Schema] = {
        "id": _TEXT,
        "at": _MOMENT,
        "action": {"type": "string", "description": "What was done, such as `user.disabled`."},
        "actor": closed(who | {"key_id": _OPTIONAL}, "Who did it."),
        "target": closed(who, "To what."),
        "details": {"type": "object"},
        "address": _OPTIONAL,
        "request_id": _OPTIONAL,
    }
    counts: Schema = {"type": "object", "additionalProperties": _NUMBER}
    return {
        "ManagedUser": closed(user, "An account as administrators see it."),
        "NewUser": of_form(NewUser),
        "UserChange": of_form(UserChange),
        "RemovedUser": closed(
            {"id": _TEXT, "documents": {"enum": list(_FATES)}, "counts": counts},
            "What became of the user's documents, by collection.",
        ),
        "SignedOutUser": closed({"id": _TEXT, "sessions_ended": _NUMBER}, "How many sessions ended."),
        "AuditEvent": closed(event, "Something that was done."),
        "ManagedUserPage": page_of("ManagedUser"),
        "AuditEventPage": page_of("AuditEvent"),
    }


def page_of(name: str) -> Schema:
    """Give the schema of one page of what a schema describes."""
    return {
        "type": "object",
        "required": ["data", "limit", "has_more"],
        "properties": {
            "data": {"type": "array", "items": reference(name)},
            "page": {"type": "integer", "minimum": 1},
            "limit": {"type": "integer", "minimum": 1},
            "has_more": _BOOLEAN,
            "next": _TEXT,
            "prev": _TEXT,
            "total": _NUMBER,
            "count": _TEXT,
        },
        "additionalProperties": False,
    }


def operations() -> list[Operation]:
    """Give these operations."""
    return [
        _list("users", "listUsers", "ManagedUser"),
        *_users(),
        _list("audit", "listAuditEvents", "AuditEvent"),
    ]


def _list(word: str, name: str, schema: str) -> Operation:
    filtering: Schema = {
        "name": "filter",
        "in": "query",
        "description": "As for documents: `filter[name][operator]=value`, or all of it as JSON.",
        "schema": _TEXT,
    }
    page = Answer(200, "One page.", reference(f"{schema}Page"), optional_headers=("Link",))
    return Operation(
        method="get",
        path=f"/api/{word}",
        id=name,
        tag=_TAG,
        summary=f"One page of {'users' if word == 'users' else 'the audit log, newest first'}",
        answers=(page,),
        failures=_GUARDED,
        parameters=(filtering, "sort", "page", "limit", "cursor", "count"),
    )


def _users() -> list[Operation]:
    answer = Answer(
        200, "The account.", data(reference("ManagedUser")), ("ETag",), example={"data": _MANAGED}
    )
    made = Answer(
        201, "The account.", data(reference("ManagedUser")), ("ETag", "Location"), example={"data": _MANAGED}
    )
    new = {"email": "ada@example.com", "name": "Ada", "roles": ["editor"], "attributes": {"team": "red"}}
    change = Body(reference("UserChange"), {"roles": ["editor"], "is_disabled": False})
    return [
        Operation(
            method="post",
            path="/api/users",
            id="createUser",
            tag=_TAG,
            summary="Make an account",
            answers=(made,),
            failures=(*_GUARDED, *OF_KEYS, DocumentInvalid, Duplicate),
            parameters=("Idempotency-Key",),
            bodies={JSON: Body(reference("NewUser"), new)},
        ),
        Operation(
            method="get",
            path=_PATH,
            id="getUser",
            tag=_TAG,
            summary="One account",
            answers=(answer, NOT_MODIFIED),
            failures=(*_GUARDED, DocumentNotFound),
            parameters=(_ID, "If-None-Match"),
        ),
        Operation(
            method="patch",
            path=_PATH,
            id="changeUser",
            tag=_TAG,
            summary="Change an account by a merge patch",
            answers=(answer,),
            failures=(
                *_GUARDED,
                *OF_KEYS,
                DocumentInvalid,
                DocumentNotFound,
                Duplicate,
                LastAdministrator,
                Stale,
            ),
            parameters=(_ID, "If-Match", "Idempotency-Key"),
            bodies={MERGE_PATCH: change, JSON: change},
        ),
        _removal(),
        Operation(
            method="delete",
            path=f"{_PATH}/second-factor",
            id="removeSecondFactor",
            tag=_TAG,
            summary="Take away the second factor of an account",
            answers=(Answer(204, "It has none, and its sessions have ended if it had one."),),
            failures=(*_GUARDED, DocumentNotFound),
            parameters=(_ID,),
        ),
        Operation(
            method="delete",
            path=f"{_PATH}/sessions",
            id="signUserOut",
            tag=_TAG,
            summary="End all sessions of an account",
            answers=(Answer(200, "How many they were.", data(reference("SignedOutUser"))),),
            failures=(*_GUARDED, DocumentNotFound),
            parameters=(_ID,),
        ),
    ]


def _removal() -> Operation:
    fate: Schema = {
        "name": "documents",
        "in": "query",
        "required": True,
        "description": "What becomes of the documents that the user owns.",
        "schema": {"enum": list(_FATES)},
        "example": "keep",
    }
    heir: Schema = {
        "name": "to",
        "in": "query",
        "description": "Who gets the documents, with `documents=transfer`.",
        "schema": _TEXT,
    }
    return Operation(
        method="delete",
        path=_PATH,
        id="removeUser",
        tag=_TAG,
        summary="Remove an account for good",
        answers=(Answer(200, "What became of the documents.", data(reference("RemovedUser"))),),
        failures=(*_GUARDED, DocumentNotFound, LastAdministrator),
        parameters=(_ID, fate, heir),
    )
