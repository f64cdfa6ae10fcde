"""What `sheaf dev` tells when it listens."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from service.dev.preparation import CollectionSummary, Prepared, banner
from service.runtime import settings
from service.runtime.settings import Development, Settings

URL = "http://127.0.0.1:8000"
PRIVATE = "mongodb://127.0.0.1:27017/?replicaSet=sheaf&w=majority"
PASSWORD = "0123456789"
LOCAL_PAGES = "Pages on any port of localhost, 127.0.0.1 and [::1]"
PRODUCTS = CollectionSummary("products", 0, is_open=False, example=None)
FILM = b"""{"title":"It's Alien","year":1979}"""


@pytest.fixture
def ready(tmp_path: Path) -> Settings:
    return settings.load(Development, _env_file=None, mongodb_uri=PRIVATE, data=tmp_path)


def shown(
    ready: Settings,
    *collections: CollectionSummary,
    password: str | None = None,
    has_own_mongodb: bool = True,
) -> str:
    return banner(URL, ready, Prepared(collections, password), has_own_mongodb=has_own_mongodb)


def test_banner_of_first_start(ready: Settings) -> None:
    films = CollectionSummary("films", 12, is_open=True, example=FILM)
    json_body = "-H 'Content-Type: application/json' -d"
    account = json.dumps({"email": "admin@example.com", "password": PASSWORD}, separators=(",", ":"))
    assert (
        shown(ready, films, PRODUCTS, password=PASSWORD)
        == f"""
Collections:
  films     12 documents  {URL}/api/films
  products   0 documents  {URL}/api/products

Every operation, to read and to try: {URL}/docs
Anyone may read and write these collections: films.
{LOCAL_PAGES} may call it; --cors ORIGIN lets others.
Rate limits are off; SHEAF_RATE_LIMIT=on turns them on.
Data is kept in {ready.data}.

Try:
  curl '{URL}/api/films?limit=3'
  curl -G {URL}/api/films --data-urlencode 'filter={{"title":"It'"'"'s Alien"}}'
  curl -X POST {URL}/api/films {json_body} {shlex.quote(FILM.decode())}

Sign in as admin@example.com with password {PASSWORD} (shown only now):
  curl {URL}/api/auth/login {json_body} '{account}'
"""
    )


def test_banner_of_later_start_with_limits(ready: Settings) -> None:
    origins = ("https://a.example", "https://b.example")
    limited = ready.model_copy(update={"rate_limit": "on", "cors_origins": origins})
    assert (
        shown(limited, PRODUCTS, has_own_mongodb=False)
        == f"""
Collections:
  products  0 documents  {URL}/api/products

Every operation, to read and to try: {URL}/docs
{LOCAL_PAGES} and https://a.example and https://b.example may call it; --cors ORIGIN lets others.
Rate limits are on: 100/15minutes for each address, 1000/15minutes for each user.
Data is kept in mongodb://127.0.0.1:27017/, database `sheaf`.

Try:
  curl '{URL}/api/products?limit=3'

The accounts of earlier starts are there still. To make another administrator:
  sheaf user create EMAIL --admin --generate
"""
    )


@pytest.mark.parametrize(
    ("origins", "callers"),
    [((), "no other origin"), (("https://a.example",), "https://a.example"), (("*",), "*")],
)
def test_banner_in_production_names_only_listed_pages(
    ready: Settings, origins: tuple[str, ...], callers: str
) -> None:
    told = shown(ready.model_copy(update={"environment": "production", "cors_origins": origins}), PRODUCTS)
    assert f"\nPages on {callers} may call it; --cors ORIGIN lets others.\n" in told


def test_banner_names_command_for_another_administrator(ready: Settings) -> None:
    elsewhere = ready.model_copy(update={"data": Path("my data")})
    assert shown(elsewhere, PRODUCTS).splitlines()[-1] == (
        "  sheaf user create EMAIL --admin --generate --data 'my data'"
    )


@pytest.mark.parametrize(
    ("example", "condition"),
    [
        ({"a": None, "b": [1], "c": {"d": 1}}, None),
        ({"a": 1, "b": "x" * 50}, '{"a":1}'),
        ({"or": "x", "a": "two\nlines", "b": True}, '{"b":true}'),
        ({"a": 1, "b": "text"}, '{"b":"text"}'),
    ],
)
def test_filter_in_banner_finds_the_first_document(
    ready: Settings, example: dict[str, Any], condition: str | None
) -> None:
    told = shown(ready, CollectionSummary("films", 1, is_open=False, example=json.dumps(example).encode()))
    found = re.search(r"--data-urlencode 'filter=(.*)'", told)
    assert (found and found[1]) == condition


def test_banner_offers_no_long_or_readonly_document(ready: Settings) -> None:
    long = json.dumps({"text": "x" * 1000}).encode()
    assert "POST" not in shown(ready, CollectionSummary("films", 1, is_open=True, example=long))
    assert "POST" not in shown(ready, CollectionSummary("films", 1, is_open=False, example=FILM))
