"""Failures of identity: signing in, sessions, keys, second factors."""

from service.errors.http import Conflict


class LastAdministrator(Conflict):
    """Nobody would be left who may administer the service."""

    code = "user.last_admin"
    title = "This is the last administrator"
