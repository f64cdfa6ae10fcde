"""The requests that are measured are what the tables say of them."""

import json
from collections import Counter

import pytest
from bson import BSON

from scripts.measuring import products, workloads
from scripts.measuring.requests import Dialect, PlainDialect, Request

DOCUMENTS = 20_000


def tag(_: Request) -> str:
    return '"1"'


@pytest.mark.parametrize("dialect", [Dialect("token"), PlainDialect("token")])
@pytest.mark.parametrize("workload", workloads.WORKLOADS)
def test_workload_requests_are_deterministic(workload: str, dialect: Dialect) -> None:
    made = [workloads.make(workload, dialect, DOCUMENTS, tag, 100) for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0]) == 100
    assert len({each.text("h") for each in made[0]}) > 30


def test_mixed_workload_has_80_gets_15_lists_and_5_creates() -> None:
    made = workloads.make("mixed", Dialect("token"), DOCUMENTS, tag, 100)
    kinds = Counter((each.method, "?" in each.path) for each in made)
    assert kinds == {("GET", False): 80, ("GET", True): 15, ("POST", False): 5}


def test_only_writing_requests_are_authorized() -> None:
    made = workloads.make("mixed", Dialect("token"), DOCUMENTS, tag)
    assert {each.method for each in made if "Authorization" in each.headers} == {"POST"}


def test_request_text_contains_content_length() -> None:
    request = Dialect("token").create(7)
    head, _, body = request.text("example.org:80").partition("\r\n\r\n")
    assert head.split("\r\n") == [
        "POST /api/products HTTP/1.1",
        "Host: example.org:80",
        "Authorization: Bearer token",
        "Content-Type: application/json",
        f"Content-Length: {len(body.encode())}",
    ]
    assert json.loads(body)["name"] == "New product 7"


def test_conditional_get_expects_304() -> None:
    (request,) = workloads.make("304", Dialect(), DOCUMENTS, tag, 1)
    assert (request.headers, request.status, request.at_least) == ({"If-None-Match": '"1"'}, 304, 0)


def test_filter_of_small_collection_may_return_partial_page() -> None:
    (few,) = workloads.make("filter", Dialect(), 200, tag, 1)
    (many,) = workloads.make("filter", Dialect(), DOCUMENTS, tag, 1)
    assert (few.starts, few.at_least) == ('{"data":[', 0)
    assert many.at_least > 0


def test_products_have_300_bytes_and_ids_in_creation_order() -> None:
    assert 250 < len(BSON.encode(products.fields(12_345))) < 350
    assert products.identifier(9) < products.identifier(10) < products.identifier(10**6)
    assert products.created_at(9) < products.created_at(10)
    assert len({products.price(number) for number in range(DOCUMENTS)}) == DOCUMENTS
