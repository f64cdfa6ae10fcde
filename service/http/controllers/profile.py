"""The signed-in user's own account."""

from collections.abc import Iterator
from contextlib import contextmanager

from litestar import Controller, Response

from models.user import User as StoredUser
from service.documents import preconditions
from service.http.bodies import CreatedAt, Data, ResponseBody, UpdatedAt, Version
from service.http.contract.operations import NOT_MODIFIED, Answer, Operation, merge_patch
from service.http.guards import SignedIn, signed_in
from service.http.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    form_of,
    json_response,
    only_parameters,
    tagged_response,
)
from service.http.routing import get, patch
from service.identity.core import accounts
from service.identity.core.accounts import Name
from service.kit.errors import (
    DocumentNotFound,
    PatchInvalid,
    Stale,
    TokenInvalid,
)
from service.kit.forms import Form


class ProfileChange(Form):
    """What somebody may change about the own account, as a merge patch: null removes."""

    name: Name | None = None


EXAMPLE = {
    "id": "5eb7cf5a86d9755df3a6c593",
    "email": "ada@example.com",
    "is_email_verified": True,
    "name": "Ada",
    "roles": ["editor"],
    "_version": 1,
    "_created_at": "2026-11-22T12:00:00.000Z",
    "_updated_at": "2026-11-22T12:00:00.000Z",
}


class User(ResponseBody):
    """An account."""

    id: str
    email: str
    is_email_verified: bool
    name: str | None
    roles: list[str]
    version: Version
    created_at: CreatedAt
    updated_at: UpdatedAt

    @classmethod
    def of(cls, user: StoredUser) -> "User":
        """Return what its owner sees of an account; never the hash."""
        return cls.of_stored(user, id=str(user.id), roles=sorted(user.roles))


_ACCOUNT = Answer(200, "The account.", Data[User], ("ETag",), example={"data": EXAMPLE})


class ProfileController(Controller):
    """`/api/profile`: whoever is signed in."""

    path = "/api/profile"
    guards = [SignedIn()]

    @get(
        "/",
        operation=Operation(
            id="getProfile",
            tag="Accounts",
            summary="The account of the caller",
            answers=(_ACCOUNT, NOT_MODIFIED),
            parameters=("If-None-Match",),
        ),
    )
    async def get_profile(self, request: AnyRequest) -> Response[bytes]:
        """Return the account of the caller."""
        only_parameters(request)
        with account_in_use():
            user = await accounts.get(_user_id(request))
        return tagged_response(request, _content(user), _tag(user))

    @patch(
        "/",
        operation=Operation(
            id="updateProfile",
            tag="Accounts",
            summary="Change the account of the caller",
            answers=(_ACCOUNT,),
            failures=(PatchInvalid, Stale),
            parameters=("If-Match",),
            bodies=merge_patch(ProfileChange, {"name": "Ada"}),
        ),
    )
    async def update_profile(self, request: AnyRequest) -> Response[bytes]:
        """Change the caller's name by a merge patch (RFC 7396), at the version that `If-Match` names."""
        form = await form_of(request, ProfileChange, (MERGE_PATCH, JSON))
        changes = form.model_dump(include=form.model_fields_set)
        expected = preconditions.read_if_match(request.headers.get("if-match"))
        with account_in_use():
            user = await accounts.update_profile(_user_id(request), changes, expected)
        return json_response(_content(user), headers={"ETag": _tag(user)})


def _user_id(request: AnyRequest) -> str:
    return str(signed_in(request).id)


def _content(user: StoredUser) -> bytes:
    return Data.of(User.of(user)).to_json()


def _tag(user: StoredUser) -> str:
    return preconditions.tag({"_version": user.version})


@contextmanager
def account_in_use() -> Iterator[None]:
    """Raise TokenInvalid when the account of an access token turns out to be gone or disabled."""
    try:
        yield
    except DocumentNotFound:
        raise TokenInvalid("The account of this access token is closed") from None
