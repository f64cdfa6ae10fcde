from models import user
from service.access import principals


def test_admin_role_name_is_consistent() -> None:
    assert principals.ADMIN == user.ADMIN
    assert principals.ROLE_PATTERN.fullmatch(principals.ADMIN)


def test_anonymous_principal_has_no_id_or_roles() -> None:
    anonymous = principals.ANONYMOUS
    assert (anonymous.id, anonymous.roles, anonymous.is_signed_in, anonymous.is_admin) == (
        None,
        frozenset(),
        False,
        False,
    )
