"""API keys: of the signed-in user's own, and for administrators everybody's."""

from collections.abc import Mapping
from typing import Any

from litestar import Controller, Response
from litestar.enums import HttpMethod
from litestar.params import FromPath

from service.access.principals import Principal
from service.documents import encoding
from service.documents.encoding import dump
from service.http import links
from service.http.audit_context import trail_of
from service.http.controllers.signing_in import NOT_STORED
from service.http.guards import SignedIn, signed_in
from service.http.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    json_of,
    json_response,
    only_parameters,
    parameters_of,
)
from service.http.routing import delete, patch, post, route
from service.identity import api_keys
from service.identity.api_keys import ApiKeys
from service.identity.forms.key_bodies import KeyChange, NewKey
from service.kit import forms
from service.kit.errors import Forbidden, Violation
from service.query.parameters import repeated

EVERYBODY = "*"
"""For the parameter `user_id`: the keys of all users, page by page."""


class KeysController(Controller):
    """`/api/keys`; keys themselves cannot be used here, so that none makes another."""

    path = "/api/keys"
    guards = [SignedIn()]

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def list_keys(self, request: AnyRequest) -> Response[bytes]:
        """Give the caller's keys; to administrators those of `user_id`, and with `*` a page of all."""
        parameters = parameters_of(request)
        given = [value for name, value in parameters if name == "user_id"]
        if given == [EVERYBODY]:
            _refuse_others(signed_in(request))
            return await _page_of_all(request, parameters)
        user_id = only_parameters(request, ("user_id",)).get("user_id", _id_of(signed_in(request)))
        if user_id != signed_in(request).id:
            _refuse_others(signed_in(request))
        found = await _keys(request).list(user_id)
        return json_response(dump({"data": [api_keys.view(key) for key in found]}))

    @post("/")
    async def create_key(self, request: AnyRequest) -> Response[bytes]:
        """Make a key for the caller; the answer alone has the key itself."""
        only_parameters(request)
        form = forms.read(NewKey, await json_of(request))
        made = await _keys(request).create(trail_of(request), signed_in(request), form)
        headers = {"Location": f"/api/keys/{made.key['_id']}", **NOT_STORED}
        return json_response(
            dump({"data": {**api_keys.view(made.key), "key": made.text}}), status_code=201, headers=headers
        )

    @route("/{key_id:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def get_key(self, request: AnyRequest, key_id: FromPath[str]) -> Response[bytes]:
        """Give what is known of one key."""
        only_parameters(request)
        return _answer(await _keys(request).find(key_id, _owner_of(request)))

    @patch("/{key_id:str}")
    async def update_key(self, request: AnyRequest, key_id: FromPath[str]) -> Response[bytes]:
        """Rename a key by a merge patch; what it may do and for how long is for ever as it was made."""
        only_parameters(request)
        form = forms.read(KeyChange, await json_of(request, (MERGE_PATCH, JSON)))
        return _answer(await _keys(request).change(trail_of(request), key_id, _owner_of(request), form))

    @delete("/{key_id:str}")
    async def revoke_key(self, request: AnyRequest, key_id: FromPath[str]) -> None:
        """Revoke a key: it opens nothing any more."""
        only_parameters(request)
        await _keys(request).revoke(trail_of(request), key_id, _owner_of(request))


async def _page_of_all(request: AnyRequest, parameters: list[tuple[str, str]]) -> Response[bytes]:
    others = [(name, value) for name, value in parameters if name != "user_id"]
    page = await api_keys.LISTING.page(others, request.app.state.cursors)
    content = encoding.list_bytes(map(api_keys.view, page.documents), page)
    return json_response(content, headers=links.around(request, repeated(parameters), page))


def _refuse_others(caller: Principal) -> None:
    if not caller.is_admin:
        detail = "Only administrators see the keys of others"
        raise Forbidden(detail, errors=[Violation(detail, "forbidden", parameter="user_id")])


def _id_of(caller: Principal) -> str:
    return str(caller.id)


def _owner_of(request: AnyRequest) -> str | None:
    """Give whose keys the caller may touch: the own ones, None for everybody's."""
    caller = signed_in(request)
    return None if caller.is_admin else _id_of(caller)


def _keys(request: AnyRequest) -> ApiKeys:
    keys: ApiKeys = request.app.state.api_keys
    return keys


def _answer(key: Mapping[str, Any]) -> Response[bytes]:
    return json_response(dump({"data": api_keys.view(key)}))
