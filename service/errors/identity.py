"""Failures of identity: signing in, sessions, keys, second factors."""

from service.errors.base import Failure
from service.errors.http import Conflict, Unauthenticated


class LastAdministrator(Conflict):
    """Nobody would be left who may administer the service."""

    code = "user.last_admin"
    title = "This is the last administrator"


class CodeWrong(Unauthenticated):
    """The code of the second factor is wrong, or was used before."""

    code = "auth.code_wrong"
    title = "The code is wrong, or was used already"


class SignInExpired(Unauthenticated):
    """The first step of a sign-in is too long ago, or it is completed, or the account has changed since."""

    code = "auth.sign_in_expired"
    title = "This sign-in has ended; begin again"


class Locked(Failure):
    """Too much was guessed at this account or from this address; `Retry-After` says how long to wait."""

    status = 429
    code = "auth.locked"
    title = "Too many wrong tries"


class SecondFactorPresent(Conflict):
    """The account has a second factor already."""

    code = "second_factor.present"
    title = "There is a second factor already"


class SecondFactorAbsent(Conflict):
    """The account has no second factor, or none that was begun lately."""

    code = "second_factor.absent"
    title = "There is no second factor"
