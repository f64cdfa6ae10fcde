"""Users, for administrators: list, search, make, change, disable, sign out, remove."""

from typing import Annotated, Any, cast, get_args

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import Field

from models.user import User
from service.documents import preconditions
from service.http import bodies
from service.http.audit_context import audit_context
from service.http.bodies import Count, CreatedAt, Data, Page, ResponseBody, UpdatedAt, Version
from service.http.contract.operations import (
    FILTER,
    NOT_MODIFIED,
    OF_KEYS,
    Answer,
    Operation,
    in_path,
    json_body,
    merge_patch,
    query,
)
from service.http.controllers import profile
from service.http.guards import HasRole
from service.http.idempotent import once
from service.http.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    form_of,
    json_response,
    only_parameters,
    parameters_of,
    tagged_response,
)
from service.http.routing import delete, get, patch, post
from service.http.services import Services
from service.identity import users
from service.identity.users import MAXIMUM_ATTRIBUTES_BYTES, Fate, NewUser, UserChange
from service.kit.errors import (
    DocumentNotFound,
    Duplicate,
    Forbidden,
    LastAdministrator,
    ParameterInvalid,
    Stale,
    Violation,
)
from service.query.parameters import repeated

FATES = get_args(Fate)


class ManagedUser(ResponseBody):
    """An account as administrators see it."""

    id: str
    email: str
    is_email_verified: bool
    name: str | None
    roles: list[str]
    attributes: Annotated[
        dict[str, Any],
        Field(description=f"For rules, as `$user.attributes.…`; at most {MAXIMUM_ATTRIBUTES_BYTES} bytes."),
    ]
    is_disabled: bool
    has_password: bool
    version: Version
    created_at: CreatedAt
    updated_at: UpdatedAt

    @classmethod
    def of(cls, user: User) -> "ManagedUser":
        """Return what is shown of a stored account; no secret is in it."""
        return cls.of_stored(
            user,
            id=str(user.id),
            roles=sorted(user.roles),
            has_password=user.password_hash is not None,
        )


class ManagedUserPage(Page[ManagedUser]):
    """One page of accounts."""


class RemovedUser(ResponseBody):
    """What became of the user's documents, by collection."""

    id: str
    documents: Fate
    counts: dict[str, Count]


class SignedOutUser(ResponseBody):
    """How many sessions ended."""

    id: str
    sessions_ended: Count


_NEW = {"email": "ada@example.com", "name": "Ada", "roles": ["editor"], "attributes": {"team": "red"}}
_EXAMPLE = {
    "data": profile.EXAMPLE | {"attributes": {"team": "red"}, "is_disabled": False, "has_password": True}
}
_ACCOUNT = Answer(200, "The account.", Data[ManagedUser], ("ETag",), example=_EXAMPLE)
_ID = in_path("user_id", "The user's id.", profile.EXAMPLE["id"])


class UsersController(Controller):
    """`/api/users`."""

    path = "/api/users"
    guards = [HasRole("admin")]

    @get(
        "/",
        operation=Operation(
            id="listUsers",
            tag="Administration",
            summary="One page of users",
            answers=(Answer(200, "One page.", ManagedUserPage, optional_headers=("Link",)),),
            failures=(Forbidden,),
            parameters=(FILTER, "sort", "page", "limit", "cursor", "count"),
        ),
    )
    async def list_users(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return one page of users, as `filter`, `sort`, `page`, `cursor`, `limit` and `count` say."""
        parameters = parameters_of(request)
        page = await users.LISTING.page(parameters, services.cursors)
        shown = (ManagedUser.of(User.model_validate(each)) for each in page.documents)
        body = ManagedUserPage.of(page, shown)
        return json_response(body.to_json(), headers=bodies.links_around(request, repeated(parameters), page))

    @post(
        "/",
        operation=Operation(
            id="createUser",
            tag="Administration",
            summary="Make an account",
            answers=(Answer(201, "The account.", Data[ManagedUser], ("ETag", "Location"), example=_EXAMPLE),),
            failures=(Forbidden, *OF_KEYS, Duplicate),
            parameters=("Idempotency-Key",),
            bodies=json_body(NewUser, _NEW),
        ),
    )
    @once
    async def create_user(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Make an account."""
        form = await form_of(request, NewUser)
        made = await services.users.create(audit_context(request), form)
        return _answer(made, 201, Location=f"/api/users/{made.id}")

    @get(
        "/{user_id:str}",
        operation=Operation(
            id="getUser",
            tag="Administration",
            summary="One account",
            answers=(_ACCOUNT, NOT_MODIFIED),
            failures=(Forbidden, DocumentNotFound),
            parameters=(_ID, "If-None-Match"),
        ),
    )
    async def get_user(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        """Return one account."""
        only_parameters(request)
        found = await users.find(user_id)
        return tagged_response(request, _content(found), _tag(found))

    @patch(
        "/{user_id:str}",
        operation=Operation(
            id="changeUser",
            tag="Administration",
            summary="Change an account by a merge patch",
            answers=(_ACCOUNT,),
            failures=(Forbidden, *OF_KEYS, DocumentNotFound, Duplicate, LastAdministrator, Stale),
            parameters=(_ID, "If-Match", "Idempotency-Key"),
            bodies=merge_patch(UserChange, {"roles": ["editor"], "is_disabled": False}),
        ),
    )
    @once
    async def change_user(
        self, request: AnyRequest, user_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Change one account by a merge patch, at the version that `If-Match` names."""
        form = await form_of(request, UserChange, (MERGE_PATCH, JSON))
        expected = preconditions.read_if_match(request.headers.get("if-match"))
        changed = await services.users.change(audit_context(request), user_id, form, expected)
        await services.revocations.catch_up()
        return _answer(changed)

    @delete(
        "/{user_id:str}",
        status_code=200,
        operation=Operation(
            id="removeUser",
            tag="Administration",
            summary="Remove an account for good",
            answers=(Answer(200, "What became of the documents.", Data[RemovedUser]),),
            failures=(Forbidden, DocumentNotFound, LastAdministrator),
            parameters=(
                _ID,
                query(
                    "documents",
                    "What becomes of the documents that the user owns.",
                    {"enum": list(FATES)},
                    required=True,
                    example="keep",
                ),
                query("to", "Who gets the documents, with `documents=transfer`."),
            ),
        ),
    )
    async def remove_user(
        self, request: AnyRequest, user_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Remove one account; `documents` says what becomes of those that it owns."""
        given = only_parameters(request, ("documents", "to"))
        if given.get("documents") not in FATES:
            raise _undecided(given.get("documents"), await services.removal.owned(user_id))
        fate = cast("Fate", given["documents"])
        removed = await services.removal.remove(audit_context(request), user_id, fate, given.get("to"))
        body = RemovedUser(id=user_id, documents=fate, counts=dict(removed.documents))
        return json_response(Data.of(body).to_json())

    @delete(
        "/{user_id:str}/second-factor",
        operation=Operation(
            id="removeSecondFactor",
            tag="Administration",
            summary="Take away the second factor of an account",
            answers=(Answer(204, "It has none, and its sessions have ended if it had one."),),
            failures=(Forbidden, DocumentNotFound),
            parameters=(_ID,),
        ),
    )
    async def remove_second_factor(
        self, request: AnyRequest, user_id: FromPath[str], services: NamedDependency[Services]
    ) -> None:
        """Take away the second factor of one account, whether it has one or not; its sessions end then."""
        only_parameters(request)
        await services.users.remove_second_factor(audit_context(request), user_id)
        await services.revocations.catch_up()

    @delete(
        "/{user_id:str}/sessions",
        status_code=200,
        operation=Operation(
            id="signUserOut",
            tag="Administration",
            summary="End all sessions of an account",
            answers=(Answer(200, "How many they were.", Data[SignedOutUser]),),
            failures=(Forbidden, DocumentNotFound),
            parameters=(_ID,),
        ),
    )
    async def sign_user_out(
        self, request: AnyRequest, user_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """End all sessions of one account."""
        only_parameters(request)
        ended = await services.users.sign_out(audit_context(request), user_id)
        await services.revocations.catch_up()
        return json_response(Data.of(SignedOutUser(id=user_id, sessions_ended=ended)).to_json())


def _answer(user: User, status_code: int = 200, **headers: str) -> Response[bytes]:
    headers |= {"ETag": _tag(user), "Cache-Control": "no-store"}
    return json_response(_content(user), status_code=status_code, headers=headers)


def _content(user: User) -> bytes:
    return Data.of(ManagedUser.of(user)).to_json()


def _tag(user: User) -> str:
    return preconditions.tag({"_version": user.version})


def _undecided(said: str | None, owned: dict[str, int]) -> ParameterInvalid:
    """Refuse a removal that does not say what becomes of the documents, and tell how many there are."""
    number = sum(owned.values())
    among = ", ".join(f"{count} in `{name}`" for name, count in owned.items())
    detail = f"The user owns {number} documents" + (f" ({among})" if owned else "")
    code = "required" if said is None else "value"
    hint = "Say what becomes of them: documents=keep, documents=delete, or documents=transfer&to=<user id>."
    violation = Violation("it is not said what becomes of the documents", code, parameter="documents")
    return ParameterInvalid(detail, hint=hint, errors=[violation])
