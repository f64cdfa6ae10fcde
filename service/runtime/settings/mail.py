"""The settings of mail, which are part of the service's settings."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class MailSettings(BaseSettings):
    """How mails are sent, and where their links lead."""

    smtp_url: SecretStr | None = Field(
        None, description="Mail server: `smtp://user:password@host:587`, or `smtps://…` for TLS at once."
    )
    mail_from: str | None = Field(None, description="Who mails are from: an address, or `Name <address>`.")
    mail_name: str = Field("Sheaf", min_length=1, max_length=100, description="What mails call this service.")
    mail_templates: Path | None = Field(
        None, description="Directory with mail texts of your own, which replace those of the same name."
    )
    mail_limit: str = Field("5/hour", description="Mails that may be asked for, per recipient.")
    mail_limit_address: str = Field("30/hour", description="Mails that may be asked for, per client address.")
    password_reset_path: str = Field(
        "/auth/reset-password#token=",
        pattern=r"^/[!-.0-~][!-~]*$",
        description="Page to choose a new password on, below the public URL; the token is put behind it.",
    )
    email_verification_path: str = Field(
        "/auth/verify-email#token=",
        pattern=r"^/[!-.0-~][!-~]*$",
        description="Page to verify an address on, below the public URL; the token is put behind it.",
    )
