"""The application: the only package that wires the parts together, with the middleware in order."""

from service.app.application import create, create_app

__all__ = ["create", "create_app"]
