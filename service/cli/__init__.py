"""The command `sheaf`: parses, calls what the API calls, prints."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from service.kit.errors import Failure, StartupFailure, suggestion

COMMANDS = {
    "dev": "Serve with a MongoDB of its own, and with collections made out of files.",
    "keys": "Make and list the keys that sign access tokens.",
    "serve": "Serve the API until SIGTERM or Ctrl-C.",
    "settings": "Print every setting with its effective value, secrets masked.",
    "user": "Make, show, change and remove users from the terminal.",
    "watch": "Show what is in a collection of a running service, and what becomes of it.",
}
"""Each command is `command` of the module of its name, imported only when it runs, so that help is quick."""

INTERRUPTED = 130


class Sheaf(click.Group):
    """The group of all commands; whatever goes wrong is one sentence on standard error."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of all commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of a name; raises UsageError, with a suggestion, for an unknown one."""
        if cmd_name not in COMMANDS:
            hint = suggestion(cmd_name, COMMANDS) or "See `sheaf --help`."
            raise click.UsageError(f"`{cmd_name}` is not a command. {hint}", ctx)
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run the command line and exit: 0, 2 for a usage error, 1 when the service cannot do it."""
        try:
            sys.exit(super().main(args, **{**extra, "standalone_mode": False}))
        except click.exceptions.NoArgsIsHelpError as usage:
            usage.show()
            sys.exit(usage.exit_code)
        except click.ClickException as problem:
            _end(problem.format_message(), problem.exit_code)
        except StartupFailure as failure:
            _end(str(failure), 1)
        except Failure as failure:
            _end("; ".join(error.detail for error in failure.errors) or failure.detail, 1)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(f"sheaf: {sentence}", err=True)
    sys.exit(code)


@click.command(cls=Sheaf, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sheaf-api", prog_name="sheaf", message="%(prog)s %(version)s")
def main() -> None:
    """Sheaf: a document-store API on MongoDB.

    Settings come from the environment and from `.env`; `sheaf settings` shows them.
    """
