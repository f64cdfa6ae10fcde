"""The signed-in user's own account."""

from litestar import Controller, Response
from litestar.enums import HttpMethod

from models.user import User
from service.documents import preconditions
from service.documents.encoding import dump
from service.http.guards import SignedIn, signed_in
from service.http.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    json_of,
    json_response,
    only_parameters,
    tagged_response,
)
from service.http.routing import patch, route
from service.identity.core import accounts
from service.identity.forms.account_bodies import ProfileChange
from service.kit import forms
from service.kit.errors import DocumentNotFound, TokenInvalid


class ProfileController(Controller):
    """`/api/profile`: whoever is signed in."""

    path = "/api/profile"
    guards = [SignedIn()]

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def get_profile(self, request: AnyRequest) -> Response[bytes]:
        """Give the account of the caller."""
        only_parameters(request)
        try:
            user = await accounts.get(_user_id(request))
        except DocumentNotFound:
            raise _closed() from None
        return tagged_response(request, _content(user), _tag(user))

    @patch("/")
    async def update_profile(self, request: AnyRequest) -> Response[bytes]:
        """Change the caller's name by a merge patch (RFC 7396), at the version that `If-Match` names."""
        only_parameters(request)
        form = forms.read(ProfileChange, await json_of(request, (MERGE_PATCH, JSON)))
        changes = form.model_dump(include=form.model_fields_set)
        expected = preconditions.read_if_match(request.headers.get("if-match"))
        try:
            user = await accounts.update_profile(_user_id(request), changes, expected)
        except DocumentNotFound:
            raise _closed() from None
        return json_response(_content(user), headers={"ETag": _tag(user)})


def _user_id(request: AnyRequest) -> str:
    return str(signed_in(request).id)


def _content(user: User) -> bytes:
    return dump({"data": accounts.view(user)})


def _tag(user: User) -> str:
    return preconditions.tag({"_version": user.version})


def _closed() -> TokenInvalid:
    return TokenInvalid("The account of this access token is closed")
