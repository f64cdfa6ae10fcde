"""A service in a process of its own, for programs that know it by its contract alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pymongo
from bson import ObjectId

from service.identity.core.tokens import Tokens
from tests.conftest import SECRET, bearer
from tests.live.processes import running
from tests.openapi.definitions import DEFINITIONS, KINDS_DOCUMENT

SHEAF = ("-c", "from service.cli import main; main()", "serve")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where the service is, the token of an administrator, and the id of a document of `kinds`."""

    url: str
    token: str
    kind_id: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def serving(mongodb_uri: str) -> Iterator[RunningServer]:
    name = f"test_{uuid4().hex[:12]}"
    variables = {
        "MONGODB_URI": mongodb_uri,
        "SHEAF_DATABASE": name,
        "SHEAF_JWT_SECRET": SECRET,
        "SHEAF_LOG_LEVEL": "error",
        "SHEAF_PORT": "0",
        "SHEAF_RATE_LIMIT": "off",
        "SHEAF_WORKERS": "1",
    }
    headers = bearer(Tokens(SECRET, [], "sheaf", "sheaf", 900), str(ObjectId()), "admin")
    with running(*SHEAF, variables=variables) as service:
        with httpx.Client(base_url=service.url, headers=headers) as client:
            for definition in DEFINITIONS:
                assert client.post("/api/collections", json=definition).status_code == 201
            made = client.post("/api/kinds", json=KINDS_DOCUMENT).json()["data"]
        yield RunningServer(service.url, headers["Authorization"].removeprefix("Bearer "), made["id"])
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb:
        mongodb.drop_database(name)
