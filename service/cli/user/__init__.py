"""`sheaf user`: accounts made, shown, changed and removed from the terminal."""

from service.cli.user.changes import disable, enable, password, remove, roles, sign_out
from service.cli.user.creation import create
from service.cli.user.group import command
from service.cli.user.listing import list_users, show

for _command in (create, list_users, show, roles, disable, enable, password, sign_out, remove):
    command.add_command(_command)

__all__ = ["command"]
