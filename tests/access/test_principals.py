from models import user
from service.access import principals


def test_the_role_of_administrators_has_one_name() -> None:
    assert principals.ADMIN == user.ADMIN
    assert principals.ROLE_PATTERN.fullmatch(principals.ADMIN)


def test_the_anonymous_caller_is_nobody() -> None:
    anonymous = principals.ANONYMOUS
    assert (anonymous.id, anonymous.roles, anonymous.is_signed_in, anonymous.is_admin) == (
        None,
        frozenset(),
        False,
        False,
    )
