"""`sheaf user`: accounts made, shown, changed and removed from the terminal."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import click

from models import DOCUMENTS
from models.user import ADMIN, User
from service.audit import OPERATOR, AuditContext
from service.collections.registry import Registry
from service.dev import environment
from service.dev.environment import UNREACHABLE
from service.documents.encoding import dump
from service.http.controllers.users import ManagedUser
from service.identity import users
from service.identity.core.hashing import Cost, Demands, Passwords
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Ending
from service.identity.users import Fate, NewUser, Removal, Removed, UserChange, Users
from service.kit import forms
from service.kit.errors import DatabaseUnavailable, StartupFailure
from service.runtime import settings
from service.runtime.settings import LONGEST_ACCESS_TOKEN_TTL_S, Development, Settings
from service.storage import database
from service.storage.errors import DatabaseError

PASSWORD_THREADS = 1
WAIT_S = 1.0

Result = TypeVar("Result")


@click.group
def command() -> None:
    """Make, show, change and remove users from the terminal."""


email_argument = click.argument("email")
data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="The data directory of `sheaf dev` (SHEAF_DATA)."
)
generate_option = click.option("--generate", is_flag=True, help="Make a random password and print it, once.")
stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)


@dataclass(frozen=True, slots=True)
class Administration:
    """What changes users, on behalf of the person at the terminal."""

    users: Users
    removal: Removal
    registry: Registry
    audit: AuditContext

    async def owned(self, user_id: str) -> dict[str, int]:
        """Count the documents that a user owns, by collection."""
        async with self._loaded():
            return await self.removal.owned(user_id)

    async def remove(self, user_id: str, fate: Fate, heir_id: str | None) -> Removed:
        """Remove a user."""
        async with self._loaded():
            return await self.removal.remove(self.audit, user_id, fate, heir_id)

    @asynccontextmanager
    async def _loaded(self) -> AsyncIterator[None]:
        """Keep the collections loaded within the context; raises StartupFailure."""
        async with self.registry.database.stream.running(), self.registry.following():
            while not await self.registry.wait_until_loaded(WAIT_S):
                if not await self.registry.database.is_reachable():
                    raise StartupFailure(UNREACHABLE)
            yield


def run(data: Path | None, work: Callable[[Administration], Awaitable[Result]]) -> Result:
    """Run work on the MongoDB of MONGODB_URI, or else in the one that `sheaf dev` runs.

    Raises StartupFailure when it cannot be reached, and what the work raises.
    """
    environment.export(data=data)
    with environment.available(settings.load(Development), shared=True) as ready:

        async def administer() -> Result:
            async with _administration(ready) as administration:
                return await work(administration)

        return asyncio.run(administer())


@asynccontextmanager
async def _administration(chosen: Settings) -> AsyncIterator[Administration]:
    passwords = Passwords(
        threads=PASSWORD_THREADS,
        cost=Cost(chosen.password_memory_kib, chosen.password_passes),
        demands=Demands(chosen.password_minimum_characters, chosen.password_strength),
    )
    connection = database.connect(**chosen.connection)
    revocations = Revocations(LONGEST_ACCESS_TOKEN_TTL_S)  # the service may have another ttl
    registry = Registry(connection, DOCUMENTS, document_limit_bytes=chosen.body_limit_bytes)
    ending = Ending(revocations)
    try:
        if not await connection.is_reachable():  # asked first, because building indexes may take its time
            raise StartupFailure(UNREACHABLE)
        await connection.initialise(DOCUMENTS)
        yield Administration(
            users=Users(connection, ending, revocations, passwords),
            removal=Removal(connection, registry, ending, revocations),
            registry=registry,
            audit=AuditContext(OPERATOR, chosen.audit_ttl_s),
        )
    except (DatabaseError, DatabaseUnavailable):
        raise StartupFailure(UNREACHABLE) from None
    finally:
        connection.close()
        passwords.close()


@command.command
@email_argument
@click.option("--admin", is_flag=True, help="Give the role `admin`, which may do everything.")
@click.option("--role", "roles", multiple=True, help="Give a role; may be repeated.")
@click.option("--name", help="The user's name.")
@stdin_option
@data_option
@generate_option
def create(
    email: str,
    *,
    admin: bool,
    roles: tuple[str, ...],
    name: str | None,
    password_stdin: bool,
    data: Path | None,
    generate: bool,
) -> None:
    """Create an account; asks for its password unless told where to take it from.

    In the MongoDB of MONGODB_URI or, where that is not set, in the one that `sheaf dev` runs.
    """
    password = _password(from_stdin=password_stdin, generated=generate)
    granted = sorted({*roles, ADMIN} if admin else set(roles))
    body = {"email": email, "password": password, "roles": granted, "is_email_verified": True}
    form = forms.read(NewUser, body if name is None else body | {"name": name})

    async def work(administration: Administration) -> None:
        made = await administration.users.create(administration.audit, form)
        click.echo(f"Created {made.email} (roles: {', '.join(made.roles) or 'none'}).")

    run(data, work)
    _print_password(password, generated=generate)


def _password(*, from_stdin: bool, generated: bool) -> str:
    """Ask for a password, unless told where to take it from."""
    if from_stdin and generated:
        raise click.UsageError("Choose one of --password-stdin and --generate.")
    if generated:
        return secrets.token_urlsafe(18)
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError(
            "There is no terminal to ask for the password; use --password-stdin or --generate."
        )
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


def _print_password(password: str, *, generated: bool) -> None:
    """Print a password that was generated."""
    if generated:
        click.echo(f"Password, shown only now: {password}")


@command.command("list")
@click.option("--role", help="Only those with this role.")
@click.option("--disabled", is_flag=True, help="Only those that are disabled.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@data_option
def list_users(*, role: str | None, disabled: bool, as_json: bool, data: Path | None) -> None:
    """List accounts by their addresses."""
    conditions = [("filter[roles]", role)] if role is not None else []
    conditions += [("filter[is_disabled]", "true")] if disabled else []

    async def work(administration: Administration) -> int:
        number = 0
        async for user in administration.users.every(conditions):
            click.echo(ManagedUser.of(user).to_json().decode() if as_json else _line(user))
            number += 1
        return number

    number = run(data, work)
    if not as_json:
        click.echo(f"{number} user{'' if number == 1 else 's'}.", err=True)


@command.command
@email_argument
@data_option
def show(email: str, *, data: Path | None) -> None:
    """Show one account as JSON, and how many documents it owns."""

    async def work(administration: Administration) -> dict[str, Any]:
        user = await users.find_by_email(email)
        owned = await administration.owned(str(user.id))
        return ManagedUser.of(user).members() | {"documents": owned}

    click.echo(dump(run(data, work)).decode())


def _line(user: User) -> str:
    roles = ", ".join(sorted(user.roles)) or "no roles"
    state = ", disabled" if user.is_disabled else ""
    return f"{user.email}  {user.id}  {roles}{state}"


@command.command
@email_argument
@click.option("--add", "added", multiple=True, help="Give a role; may be repeated.")
@click.option("--remove", "removed", multiple=True, help="Take a role away; may be repeated.")
@data_option
def roles(email: str, *, added: tuple[str, ...], removed: tuple[str, ...], data: Path | None) -> None:
    """Add and remove roles; earlier access tokens end."""
    if not added and not removed:
        raise click.UsageError("Say which roles to --add or to --remove.")

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        present = {*user.roles}
        wanted = sorted((present | {*added}) - {*removed})
        await _change(administration, user, {"roles": wanted})
        click.echo(f"{user.email} has the roles: {', '.join(wanted) or 'none'}.")

    run(data, work)


@command.command
@email_argument
@data_option
def disable(email: str, *, data: Path | None) -> None:
    """Keep somebody from signing in; sessions, tokens and keys end."""
    _switch(email, data, is_disabled=True)


@command.command
@email_argument
@data_option
def enable(email: str, *, data: Path | None) -> None:
    """Let somebody sign in again."""
    _switch(email, data, is_disabled=False)


@command.command
@email_argument
@stdin_option
@generate_option
@data_option
def password(email: str, *, password_stdin: bool, generate: bool, data: Path | None) -> None:
    """Set another password; all sessions end."""
    chosen = _password(from_stdin=password_stdin, generated=generate)

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        await administration.users.set_password(administration.audit, str(user.id), chosen)
        click.echo(f"{user.email} has another password.")

    run(data, work)
    _print_password(chosen, generated=generate)


@command.command("sign-out")
@email_argument
@data_option
def sign_out(email: str, *, data: Path | None) -> None:
    """End all sessions of somebody."""

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        ended = await administration.users.sign_out(administration.audit, str(user.id))
        click.echo(f"{user.email} is signed out: {ended} session{'' if ended == 1 else 's'} ended.")

    run(data, work)


@command.command("second-factor")
@email_argument
@click.option("--remove", "is_removed", is_flag=True, required=True, help="Take it away.")
@data_option
def take_second_factor(email: str, *, is_removed: bool, data: Path | None) -> None:
    """Take away the second factor of somebody who lost it; all sessions end."""
    del is_removed  # it is there to be said

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        audit = administration.audit
        was_there = await administration.users.remove_second_factor(audit, str(user.id))
        click.echo(f"{user.email} has {'no second factor any more' if was_there else 'no second factor'}.")

    run(data, work)


@command.command
@email_argument
@click.option(
    "--documents",
    "fate",
    type=click.Choice(get_args(Fate)),
    required=True,
    help="What becomes of the documents that the user owns.",
)
@click.option("--to", "heir", help="With `--documents transfer`, the address of who gets them.")
@data_option
def remove(email: str, *, fate: str, heir: str | None, data: Path | None) -> None:
    """Remove an account for good."""

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        heir_id = None if heir is None else str((await users.find_by_email(heir)).id)
        removed = await administration.remove(str(user.id), cast("Fate", fate), heir_id)
        done = {"delete": "deleted", "transfer": "transferred"}.get(fate)
        number = sum(removed.documents.values())
        also = "" if done is None else f" {number} document{'' if number == 1 else 's'} {done}."
        click.echo(f"{user.email} is removed.{also}")

    run(data, work)


def _switch(email: str, data: Path | None, *, is_disabled: bool) -> None:
    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        await _change(administration, user, {"is_disabled": is_disabled})
        click.echo(f"{user.email} is {'disabled' if is_disabled else 'enabled'}.")

    run(data, work)


async def _change(administration: Administration, user: Any, body: dict[str, Any]) -> None:
    form = forms.read(UserChange, body)
    await administration.users.change(administration.audit, str(user.id), form, None)
