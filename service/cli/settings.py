"""`sheaf settings`: what the service would run with."""

import click

from service.runtime import settings


@click.command
def command() -> None:
    """Print every setting as NAME=value, as it is in force; secrets are masked."""
    for name, value in settings.load().shown().items():
        click.echo(f"{name}={value}")
