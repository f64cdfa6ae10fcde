"""`sheaf dev`: from files to a running API, with a MongoDB, a secret and an administrator of its own."""

from service.cli.dev.start import command

__all__ = ["command"]
