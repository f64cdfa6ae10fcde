"""`sheaf user list` and `sheaf user show`."""

from pathlib import Path
from typing import Any

import click

from models.user import User
from service.cli.user import group
from service.cli.user.group import Administration, data_option, email_argument
from service.documents.encoding import dump
from service.http.controllers.users import ManagedUser
from service.identity import users


@click.command("list")
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

    number = group.run(data, work)
    if not as_json:
        click.echo(f"{number} user{'' if number == 1 else 's'}.", err=True)


@click.command
@email_argument
@data_option
def show(email: str, *, data: Path | None) -> None:
    """Show one account as JSON, and how many documents it owns."""

    async def work(administration: Administration) -> dict[str, Any]:
        user = await users.find_by_email(email)
        owned = await administration.owned(str(user.id))
        return ManagedUser.of(user).members() | {"documents": owned}

    click.echo(dump(group.run(data, work)).decode())


def _line(user: User) -> str:
    roles = ", ".join(sorted(user.roles)) or "no roles"
    state = ", disabled" if user.is_disabled else ""
    return f"{user.email}  {user.id}  {roles}{state}"
