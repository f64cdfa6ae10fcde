"""`sheaf user create`: accounts made from the terminal, the first admin among them."""

import asyncio
import secrets
import sys
from pathlib import Path

import click
from pymongo.errors import PyMongoError

from models.user import ADMIN, User
from service import database, settings
from service.access.passwords import Passwords
from service.cli import mongodb
from service.errors import StartupFailure
from service.identity import accounts
from service.settings import Development, Settings

UNREACHABLE = "MongoDB cannot be reached; check that MONGODB_URI is right and that it runs."


@click.group
def command() -> None:
    """Create users from the terminal."""


@command.command
@click.argument("email")
@click.option("--admin", is_flag=True, help="Give the role `admin`, which may do everything.")
@click.option("--role", "roles", multiple=True, help="Give a role; may be repeated.")
@click.option("--name", help="The user's name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="The data directory of `sheaf dev` (SHEAF_DATA)."
)
@click.option("--generate", is_flag=True, help="Make a random password and print it, once.")
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
    mongodb.export(data=data)
    chosen = settings.load(Development)
    password = _password(from_stdin=password_stdin, generated=generate)
    granted = {*roles, ADMIN} if admin else set(roles)
    with mongodb.available(chosen, shared=True) as ready:
        user = asyncio.run(_create(ready, email, password, granted, name))
    roles_text = ", ".join(user.roles) or "none"
    click.echo(f"Created {user.email} (roles: {roles_text}).")
    if generate:
        click.echo(f"Password, shown only now: {password}")


def _password(*, from_stdin: bool, generated: bool) -> str:
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


async def _create(chosen: Settings, email: str, password: str, roles: set[str], name: str | None) -> User:
    passwords = Passwords(threads=1)
    connection = database.connect(**chosen.connection)
    try:
        if not await connection.is_reachable():  # asked first, because building indexes may take its time
            raise StartupFailure(UNREACHABLE)
        await connection.initialise([User])
        return await accounts.create_user(passwords, email, password, roles, name)
    except PyMongoError:
        raise StartupFailure(UNREACHABLE) from None
    finally:
        connection.close()
        passwords.close()
