"""Users, for administrators: list, search, make, change, disable, sign out, remove."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from litestar import Controller, Response
from litestar.enums import HttpMethod
from litestar.params import FromPath

from service.documents import encoding, preconditions
from service.documents.encoding import dump
from service.http import links
from service.http.audit_context import trail_of
from service.http.guards import HasRole
from service.http.idempotent import once
from service.http.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    json_of,
    json_response,
    only_parameters,
    parameters_of,
    tagged_response,
)
from service.http.routing import delete, patch, post, route
from service.identity import users
from service.identity.core.sessions import Ending
from service.identity.forms.user_bodies import NewUser, UserChange
from service.identity.users import Fate, Removal, Users
from service.kit import forms
from service.kit.errors import ParameterInvalid, Violation
from service.query.parameters import repeated

FATES = get_args(Fate)


class UsersController(Controller):
    """`/api/users`."""

    path = "/api/users"
    guards = [HasRole("admin")]

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def list_users(self, request: AnyRequest) -> Response[bytes]:
        """Give one page of users, as `filter`, `sort`, `page`, `cursor`, `limit` and `count` say."""
        parameters = parameters_of(request)
        page = await users.LISTING.page(parameters, request.app.state.cursors)
        content = encoding.list_bytes(map(users.view, page.documents), page)
        return json_response(content, headers=links.around(request, repeated(parameters), page))

    @post("/")
    @once
    async def create_user(self, request: AnyRequest) -> Response[bytes]:
        """Make an account."""
        only_parameters(request)
        form = forms.read(NewUser, await json_of(request))
        made = await _users(request).create(trail_of(request), form)
        return _answer(made, 201, Location=f"/api/users/{made['_id']}")

    @route("/{user_id:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def get_user(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        """Give one account."""
        only_parameters(request)
        found = await users.find(user_id)
        return tagged_response(request, dump({"data": users.view(found)}), _tag(found))

    @patch("/{user_id:str}")
    @once
    async def change_user(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        """Change one account by a merge patch, at the version that `If-Match` names."""
        only_parameters(request)
        form = forms.read(UserChange, await json_of(request, (MERGE_PATCH, JSON)))
        expected = preconditions.read_if_match(request.headers.get("if-match"))
        changed = await _users(request).change(trail_of(request), user_id, form, expected)
        await request.app.state.revocations.catch_up()
        return _answer(changed)

    @delete("/{user_id:str}", status_code=200)
    async def remove_user(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        """Remove one account; `documents` says what becomes of those that it owns."""
        given = only_parameters(request, ("documents", "to"))
        state = request.app.state
        removal = Removal(state.database, state.registry, Ending(state.revocations), state.revocations)
        if given.get("documents") not in FATES:
            raise _undecided(given.get("documents"), await removal.owned(user_id))
        fate = cast("Fate", given["documents"])
        removed = await removal.remove(trail_of(request), user_id, fate, given.get("to"))
        return json_response(dump({"data": {"id": user_id, "documents": fate, "counts": removed.documents}}))

    @delete("/{user_id:str}/second-factor")
    async def remove_second_factor(self, request: AnyRequest, user_id: FromPath[str]) -> None:
        """Take away the second factor of one account, whether it has one or not; its sessions end then."""
        only_parameters(request)
        await _users(request).remove_second_factor(trail_of(request), user_id)
        await request.app.state.revocations.catch_up()

    @delete("/{user_id:str}/sessions", status_code=200)
    async def sign_user_out(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        """End all sessions of one account."""
        only_parameters(request)
        ended = await _users(request).sign_out(trail_of(request), user_id)
        await request.app.state.revocations.catch_up()
        return json_response(dump({"data": {"id": user_id, "sessions_ended": ended}}))


def _users(request: AnyRequest) -> Users:
    state = request.app.state
    return Users(state.database, Ending(state.revocations), state.revocations, state.passwords)


def _answer(user: Mapping[str, Any], status_code: int = 200, **headers: str) -> Response[bytes]:
    headers |= {"ETag": _tag(user), "Cache-Control": "no-store"}
    return json_response(dump({"data": users.view(user)}), status_code=status_code, headers=headers)


def _tag(user: Mapping[str, Any]) -> str:
    return preconditions.tag({"_version": user["_version"]})


def _undecided(said: str | None, owned: dict[str, int]) -> ParameterInvalid:
    """Refuse a removal that does not say what becomes of the documents, and tell how many there are."""
    number = sum(owned.values())
    among = ", ".join(f"{count} in `{name}`" for name, count in owned.items())
    detail = f"The user owns {number} documents" + (f" ({among})" if owned else "")
    code = "required" if said is None else "value"
    hint = "Say what becomes of them: documents=keep, documents=delete, or documents=transfer&to=<user id>."
    violation = Violation("it is not said what becomes of the documents", code, parameter="documents")
    return ParameterInvalid(detail, hint=hint, errors=[violation])
