"""`sheaf user`: accounts made, shown, changed and removed from the terminal."""

from service.cli.user import changes, creation, listing
from service.cli.user.group import command

__all__ = ["command"]

_COMMANDS = (
    creation.create,
    listing.list_users,
    listing.show,
    changes.roles,
    changes.disable,
    changes.enable,
    changes.password,
    changes.sign_out,
    changes.take_second_factor,
    changes.remove,
)

for _command in _COMMANDS:
    command.add_command(_command)
