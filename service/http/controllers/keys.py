"""API keys: of the signed-in user's own, and for administrators everybody's."""

from datetime import datetime
from typing import Annotated

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import ConfigDict, Field

from models.api_key import ApiKey as StoredKey
from service.access.principals import Principal
from service.access.scopes import MAXIMUM_CHARACTERS, MAXIMUM_SCOPES
from service.http import bodies
from service.http.audit_context import audit_context
from service.http.bodies import CreatedAt, Data, Page, ResponseBody, UpdatedAt, Version
from service.http.contract.operations import Answer, Operation, in_path, json_body, merge_patch, query
from service.http.controllers import profile
from service.http.controllers.signing_in import NOT_STORED
from service.http.guards import SignedIn, signed_in
from service.http.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    form_of,
    json_response,
    only_parameters,
    parameters_of,
)
from service.http.routing import delete, get, patch, post
from service.http.services import Services, services_of
from service.identity import api_keys
from service.identity.api_keys import MAXIMUM_TTL_S
from service.identity.core.accounts import Name
from service.kit.errors import (
    Forbidden,
    KeyNotFound,
    TooManyKeys,
    Violation,
)
from service.kit.forms import Form
from service.query.parameters import repeated

EVERYBODY = "*"
"""For the parameter `user_id`: the keys of all users, page by page."""


Scope = Annotated[str, Field(max_length=MAXIMUM_CHARACTERS)]


class NewApiKey(Form):
    """A key that somebody makes: `expires_at` (RFC 3339) or `expires_in_s`, or neither of them."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=MAXIMUM_SCOPES)]
    expires_at: str | None = None
    expires_in_s: Annotated[int, Field(ge=1, le=MAXIMUM_TTL_S)] | None = None


class ApiKeyChange(Form):
    """What may be changed about a key, as a merge patch."""

    name: Name


class ApiKey(ResponseBody):
    """An API key, without the key itself."""

    id: str
    name: str
    user_id: Annotated[str, Field(description="For whom it acts.")]
    scopes: list[str]
    expires_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="To about a minute.")]
    last_used_address: str | None
    version: Version
    created_at: CreatedAt
    updated_at: UpdatedAt


class MadeApiKey(ApiKey):
    """A new API key."""

    key: Annotated[str, Field(description="For `Authorization: Bearer …`; shown only now.")]


class ApiKeys(ResponseBody):
    """All keys of a user, or one page of everybody's."""

    model_config = ConfigDict(extra="ignore")

    data: list[ApiKey]


_NEW = {"name": "nightly export", "scopes": ["products:read", "orders:create"]}
EXAMPLE = _NEW | {
    "id": "2f9c4a7e81b3d605",
    "user_id": profile.EXAMPLE["id"],
    "expires_at": None,
    "last_used_at": None,
    "last_used_address": None,
    "_version": 1,
    "_created_at": "2026-11-22T12:00:00.000Z",
    "_updated_at": "2026-11-22T12:00:00.000Z",
}
_ID = in_path("key_id", "The key's id, which is also the part of it between the two `_`.", EXAMPLE["id"])
_KEY = Answer(200, "The key.", Data[ApiKey], example={"data": EXAMPLE})


class KeysController(Controller):
    """`/api/keys`; keys themselves cannot be used here, so that none makes another."""

    path = "/api/keys"
    guards = [SignedIn()]

    @get(
        "/",
        operation=Operation(
            id="listKeys",
            tag="API keys",
            summary="The caller's API keys",
            answers=(Answer(200, "The keys.", ApiKeys, example={"data": [EXAMPLE]}),),
            failures=(Forbidden,),
            parameters=(
                query(
                    "user_id",
                    "Whose keys, for administrators; `*` for a page of everybody's, which may be filtered.",
                ),
            ),
        ),
    )
    async def list_keys(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return the caller's keys; to administrators those of `user_id`, and with `*` a page of all."""
        parameters = parameters_of(request)
        given = [value for name, value in parameters if name == "user_id"]
        if given == [EVERYBODY]:
            _refuse_others(signed_in(request))
            return await _page_of_all(request, parameters)
        user_id = only_parameters(request, ("user_id",)).get("user_id", _id_of(signed_in(request)))
        if user_id != signed_in(request).id:
            _refuse_others(signed_in(request))
        found = await services.api_keys.list(user_id)
        return json_response(ApiKeys(data=[ApiKey.of_stored(key) for key in found]).to_json())

    @post(
        "/",
        operation=Operation(
            id="createKey",
            tag="API keys",
            summary="Make an API key",
            answers=(
                Answer(
                    201,
                    "The key.",
                    Data[MadeApiKey],
                    ("Location",),
                    example={"data": {**EXAMPLE, "key": "sheaf_2f9c4a7e81b3d605_…"}},
                ),
            ),
            failures=(Forbidden, TooManyKeys),
            bodies=json_body(NewApiKey, _NEW),
        ),
    )
    async def create_key(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Make a key for the caller; the answer alone has the key itself."""
        form = await form_of(request, NewApiKey)
        audit = audit_context(request)
        made = await services.api_keys.create(audit, signed_in(request), **form.model_dump())
        headers = {"Location": f"/api/keys/{made.key.id}", **NOT_STORED}
        body = Data.of(MadeApiKey.of_stored(made.key, key=made.text))
        return json_response(body.to_json(), status_code=201, headers=headers)

    @get(
        "/{key_id:str}",
        operation=Operation(
            id="getKey",
            tag="API keys",
            summary="One API key",
            answers=(_KEY,),
            failures=(Forbidden, KeyNotFound),
            parameters=(_ID,),
        ),
    )
    async def get_key(
        self, request: AnyRequest, key_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return what is known of one key."""
        only_parameters(request)
        return _answer(await services.api_keys.find(key_id, _owner_of(request)))

    @patch(
        "/{key_id:str}",
        operation=Operation(
            id="updateKey",
            tag="API keys",
            summary="Rename an API key",
            answers=(_KEY,),
            failures=(Forbidden, KeyNotFound),
            parameters=(_ID,),
            bodies=merge_patch(ApiKeyChange, {"name": "weekly export"}),
        ),
    )
    async def update_key(
        self, request: AnyRequest, key_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Rename a key by a merge patch; what it may do and for how long is for ever as it was made."""
        form = await form_of(request, ApiKeyChange, (MERGE_PATCH, JSON))
        return _answer(
            await services.api_keys.rename(audit_context(request), key_id, _owner_of(request), form.name)
        )

    @delete(
        "/{key_id:str}",
        operation=Operation(
            id="revokeKey",
            tag="API keys",
            summary="Revoke an API key",
            answers=(Answer(204, "It opens nothing any more."),),
            failures=(Forbidden, KeyNotFound),
            parameters=(_ID,),
        ),
    )
    async def revoke_key(
        self, request: AnyRequest, key_id: FromPath[str], services: NamedDependency[Services]
    ) -> None:
        """Revoke a key: it opens nothing any more."""
        only_parameters(request)
        await services.api_keys.revoke(audit_context(request), key_id, _owner_of(request))


async def _page_of_all(request: AnyRequest, parameters: list[tuple[str, str]]) -> Response[bytes]:
    others = [(name, value) for name, value in parameters if name != "user_id"]
    page = await api_keys.LISTING.page(others, services_of(request).cursors)
    body = Page[ApiKey].of(
        page, (ApiKey.of_stored(StoredKey.model_validate(each)) for each in page.documents)
    )
    return json_response(body.to_json(), headers=bodies.links_around(request, repeated(parameters), page))


def _refuse_others(caller: Principal) -> None:
    if not caller.is_admin:
        detail = "Only administrators see the keys of others"
        raise Forbidden(detail, errors=[Violation(detail, "forbidden", parameter="user_id")])


def _id_of(caller: Principal) -> str:
    return str(caller.id)


def _owner_of(request: AnyRequest) -> str | None:
    """Return whose keys the caller may touch: the own ones, None for everybody's."""
    caller = signed_in(request)
    return None if caller.is_admin else _id_of(caller)


def _answer(key: StoredKey) -> Response[bytes]:
    return json_response(Data.of(ApiKey.of_stored(key)).to_json())
