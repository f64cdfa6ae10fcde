"""Failures of identity: signing in, sessions, keys, second factors."""

from service.kit.errors.base import Failure
from service.kit.errors.http import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    TokenInvalid,
    Unauthenticated,
    Unavailable,
)


class KeyNotFound(NotFound):
    """No API key has this id, or it is another user's."""

    code = "key.not_found"
    title = "There is no such API key"


class TooManyKeys(Conflict):
    """The user has as many API keys as a user may have."""

    code = "key.too_many"
    title = "There are too many API keys"


class TokenOutdated(TokenInvalid):
    """The access token was revoked, or its account has changed since; it tells of which session it is."""

    def __init__(self, session_id: str | None = None) -> None:
        super().__init__(
            "The access token is no longer valid", hint="Refresh it; when that is refused, sign in again."
        )
        self.session_id = session_id


class SessionEnded(Unauthenticated):
    """There is no such session any more; never says whether it ended, expired, or never was."""

    code = "auth.session_ended"
    title = "The session has ended; sign in again"


class CrossSite(Failure):
    """A browser's request that does not show that a page of our own sends it."""

    status = 403
    code = "auth.cross_site"
    title = "The request does not come from a page of this service"


class SessionNotFound(NotFound):
    """The caller has no session of this id."""

    code = "session.not_found"
    title = "There is no such session"


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


class PasswordWrong(Forbidden):
    """The signed-in caller did not prove to know the account's present password."""

    code = "password.wrong"
    title = "This is not the present password"


class PasswordAbsent(Conflict):
    """The account has no password, for it signs in through a provider; a mail can give it one."""

    code = "password.absent"
    title = "The account has no password"


class LinkInvalid(Malformed):
    """The token of a mail's link was used, has expired, is void, or is none."""

    code = "link.invalid"
    title = "The link is not valid any more"


class EmailUnverified(Forbidden):
    """The credentials are right, but the address must be verified before signing in."""

    code = "email.unverified"
    title = "The e-mail address is not verified yet"


class EmailVerified(Conflict):
    """The address is verified already."""

    code = "email.verified"
    title = "The e-mail address is verified already"


class MailNotConfigured(Conflict):
    """What was asked for takes a mail, and the service has no mail server or public URL."""

    code = "mail.not_configured"
    title = "This service sends no mails"


class FlowInvalid(Malformed):
    """The sign-in at a provider was not begun in this browser or app, is completed, or took too long."""

    code = "auth.flow_invalid"
    title = "This sign-in was not begun here, or has ended"


class AccountExists(Conflict):
    """An account has the address that a provider tells; linking them needs its holder to sign in to it."""

    code = "auth.account_exists"
    title = "There is an account with this e-mail address already"


class IdentityTaken(Conflict):
    """The provider's identity is linked with another account, or the account with another identity there."""

    code = "identity.taken"
    title = "This identity is linked with another account"


class IdentityNotFound(NotFound):
    """The account is not linked with this provider."""

    code = "identity.not_found"
    title = "The account is not linked with this provider"


class LastSignIn(Conflict):
    """Without this identity nobody could sign in to the account any more."""

    code = "identity.last"
    title = "This is the only way to sign in to the account"


class ProviderNotFound(NotFound):
    """The service has no provider of this name."""

    code = "provider.not_found"
    title = "There is no such provider"


class ProviderRefused(Forbidden):
    """The provider did not sign the person in, or does not tell what an account needs."""

    code = "provider.refused"
    title = "The provider did not sign you in"


class ProviderInvalid(Failure):
    """What the provider answered is malformed, or its token does not hold."""

    status = 502
    code = "provider.invalid"
    title = "The provider's answer cannot be trusted"


class ProviderUnavailable(Unavailable):
    """The provider cannot be reached, or does not answer in time."""

    code = "provider.unavailable"
    title = "The provider cannot be reached"
