"""The commands of `sheaf user` that change an account, or remove it."""

from pathlib import Path
from typing import Any, cast, get_args

import click

from service.cli.user import group
from service.cli.user.creation import asked, generate_option, stdin_option, tell
from service.cli.user.group import Administration, data_option, email_argument
from service.identity import users
from service.identity.forms.user_bodies import UserChange
from service.identity.users import Fate
from service.kit import forms


@click.command
@email_argument
@click.option("--add", "added", multiple=True, help="Give a role; may be repeated.")
@click.option("--remove", "removed", multiple=True, help="Take a role away; may be repeated.")
@data_option
def roles(email: str, *, added: tuple[str, ...], removed: tuple[str, ...], data: Path | None) -> None:
    """Give and take roles; earlier access tokens end."""
    if not added and not removed:
        raise click.UsageError("Say which roles to --add or to --remove.")

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        present = {*user.roles}
        wanted = sorted((present | {*added}) - {*removed})
        await _change(administration, user, {"roles": wanted})
        click.echo(f"{user.email} has the roles: {', '.join(wanted) or 'none'}.")

    group.run(data, work)


@click.command
@email_argument
@data_option
def disable(email: str, *, data: Path | None) -> None:
    """Keep somebody from signing in; sessions, tokens and keys end."""
    _switch(email, data, is_disabled=True)


@click.command
@email_argument
@data_option
def enable(email: str, *, data: Path | None) -> None:
    """Let somebody sign in again."""
    _switch(email, data, is_disabled=False)


@click.command
@email_argument
@stdin_option
@generate_option
@data_option
def password(email: str, *, password_stdin: bool, generate: bool, data: Path | None) -> None:
    """Set another password; all sessions end."""
    chosen = asked(from_stdin=password_stdin, generated=generate)

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        await administration.users.set_password(administration.audit, str(user.id), chosen)
        click.echo(f"{user.email} has another password.")

    group.run(data, work)
    tell(chosen, generated=generate)


@click.command("sign-out")
@email_argument
@data_option
def sign_out(email: str, *, data: Path | None) -> None:
    """End all sessions of somebody."""

    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        ended = await administration.users.sign_out(administration.audit, str(user.id))
        click.echo(f"{user.email} is signed out: {ended} session{'' if ended == 1 else 's'} ended.")

    group.run(data, work)


@click.command("second-factor")
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

    group.run(data, work)


@click.command
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

    group.run(data, work)


def _switch(email: str, data: Path | None, *, is_disabled: bool) -> None:
    async def work(administration: Administration) -> None:
        user = await users.find_by_email(email)
        await _change(administration, user, {"is_disabled": is_disabled})
        click.echo(f"{user.email} is {'disabled' if is_disabled else 'enabled'}.")

    group.run(data, work)


async def _change(administration: Administration, user: Any, body: dict[str, Any]) -> None:
    form = forms.read(UserChange, body)
    await administration.users.change(administration.audit, str(user.id), form, None)
