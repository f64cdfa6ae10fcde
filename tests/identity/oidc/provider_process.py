"""A genuine OpenID Connect provider (Canaille) with one person and one client, as a process of its own.

Its arguments: the client's secret, where it sends people back to, the person's password. It prints its port,
and ends with its standard input.
"""

import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # it runs on this machine, without TLS

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import JWKRegistry


class SilentHandler(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve on a free port, which is printed."""
    server = WSGIServer(("localhost", 0), SilentHandler)
    port = server.server_port
    key = JWKRegistry.generate_key("RSA", 2048)
    key.ensure_kid()
    app = create_app(
        config={
            "TESTING": True,
            "ENV_FILE": None,
            "SECRET_KEY": "of this process",
            "WTF_CSRF_ENABLED": False,
            "PREFERRED_URL_SCHEME": "http",
            "SERVER_NAME": f"localhost:{port}",
            "CANAILLE": {
                "DATABASE": "memory",
                "JAVASCRIPT": False,
                "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}},
            },
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [key.as_dict(private=True)],
                "TRUSTED_DOMAINS": ["sheaf.test"],
            },
        }
    )
    with app.app_context():
        _fill(*sys.argv[1:])
    server.set_app(app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()


def _fill(secret: str, callback: str, password: str) -> None:
    person = models.User(
        user_name="ann",
        formatted_name="Ann Example",
        family_name="Example",
        emails=["ann@example.com"],
        password=password,
    )
    Backend.instance.save(person)
    client = models.Client(
        client_id="sheaf",
        client_secret=secret,
        client_name="Sheaf",
        client_uri="https://sheaf.test",
        contacts=["admin@sheaf.test"],
        redirect_uris=[callback],
        response_types=["code"],
        grant_types=["authorization_code"],
        scope=["openid", "email", "profile"],
        token_endpoint_auth_method="client_secret_basic",
    )
    Backend.instance.save(client)
    Backend.instance.update(client, audience=[client])
    Backend.instance.save(client)


if __name__ == "__main__":
    main()
