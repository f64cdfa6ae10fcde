"""`sheaf user create`: accounts made from the terminal, the first administrator among them."""

import secrets
import sys
from pathlib import Path

import click

from models.user import ADMIN
from service.cli.user import group
from service.cli.user.group import Administration, data_option, email_argument
from service.identity.forms.user_bodies import NewUser
from service.kit import forms

generate_option = click.option("--generate", is_flag=True, help="Make a random password and print it, once.")
stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)


@click.command
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
    password = asked(from_stdin=password_stdin, generated=generate)
    granted = sorted({*roles, ADMIN} if admin else set(roles))
    body = {"email": email, "password": password, "roles": granted, "is_email_verified": True}
    form = forms.read(NewUser, body if name is None else body | {"name": name})

    async def work(administration: Administration) -> None:
        made = await administration.users.create(administration.audit, form)
        click.echo(f"Created {made.email} (roles: {', '.join(made.roles) or 'none'}).")

    group.run(data, work)
    tell(password, generated=generate)


def asked(*, from_stdin: bool, generated: bool) -> str:
    """Give the password of somebody's choice, asked for unless told where to take it from."""
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


def tell(password: str, *, generated: bool) -> None:
    """Print a password that was generated."""
    if generated:
        click.echo(f"Password, shown only now: {password}")
