"""The texts of mails: files with a `Subject:` line, an empty line, and the text, with `$names` in them."""

from pathlib import Path
from string import Template

from service.kit.errors import StartupFailure
from service.mail.messages import Message

OWN = Path(__file__).parent / "templates"

PLACES: dict[str, frozenset[str]] = {
    "account-exists": frozenset({"service", "link", "lifetime"}),
    "email-change-asked": frozenset({"service", "address"}),
    "email-changed": frozenset({"service", "address"}),
    "password-changed": frozenset({"service"}),
    "reset-password": frozenset({"service", "link", "lifetime"}),
    "verify-email": frozenset({"service", "link", "lifetime"}),
    "verify-new-email": frozenset({"service", "link", "lifetime"}),
}
"""Every template, and what may be filled into it; nobody's name, which anybody could have chosen."""

SUBJECT = "Subject:"


class Templates:
    """The templates of a service; `directory` may have files of its own in place of ours.

    Raises StartupFailure when one of those has another form, or a `$name` that there is not.
    """

    def __init__(self, service: str, directory: Path | None = None) -> None:
        if directory is not None and not directory.is_dir():
            raise StartupFailure(f"SHEAF_MAIL_TEMPLATES is wrong: {directory} is not a directory.")
        self._service = service
        self._templates = {name: _read(name, directory) for name in PLACES}

    def fill(self, name: str, to: str, **values: str) -> Message:
        """Give the mail that a template makes of values."""
        subject, text = self._templates[name]
        values |= {"service": self._service}
        return Message(to, subject.substitute(values), text.substitute(values))


def _read(name: str, directory: Path | None) -> tuple[Template, Template]:
    path = OWN / f"{name}.txt"
    if directory is not None and (directory / path.name).exists():
        path = directory / path.name
    try:
        first, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StartupFailure(f"The mail template {path} cannot be read: {error}.") from None
    if not first.startswith(SUBJECT) or "\n" in first or not text.strip():
        raise StartupFailure(
            f"The mail template {path} must be a line `{SUBJECT} …`, an empty line, and a text."
        )
    made = Template(first.removeprefix(SUBJECT).strip()), Template(text)
    for template in made:
        unknown = set(template.get_identifiers()) - PLACES[name]
        if unknown or not template.is_valid():
            known = ", ".join(f"${place}" for place in sorted(PLACES[name]))
            raise StartupFailure(
                f"The mail template {path} may use only {known}, and `$$` for a dollar sign."
            )
    return made
