"""The links in mails: the configured public URL, never what a request says the host is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Links:
    """Where the pages are that mails lead to; each path ends where the token begins."""

    public_url: str
    reset_path: str
    verification_path: str

    def reset(self, token: str) -> str:
        """Give the link to choose a new password by.

        >>> Links("https://shop.example/", "/reset#token=", "/verify#token=").reset("abc")
        'https://shop.example/reset#token=abc'
        """
        return f"{self.public_url.rstrip('/')}{self.reset_path}{token}"

    def verify(self, token: str) -> str:
        """Give the link to prove an address by."""
        return f"{self.public_url.rstrip('/')}{self.verification_path}{token}"
