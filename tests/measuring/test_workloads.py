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
def test_requests_are_the_same_each_time(workload: str, dialect: Dialect) -> None:
    made = [workloads.make(workload, dialect, DOCUMENTS, tag, 100) for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0]) == 100
    assert len({each.text("h") for each in made[0]}) > 30


def test_a_mixed_hundred_has_eighty_gets_fifteen_lists_and_five_creates() -> None:
    made = workloads.make("mixed", Dialect("token"), DOCUMENTS, tag, 100)
    kinds = Counter((each.method, "?" in each.path) for each in made)
    assert kinds == {("GET", False): 80, ("GET", True): 15, ("POST", False): 5}


def test_only_what_writes_is_signed_in() -> None:
    made = workloads.make("mixed", Dialect("token"), DOCUMENTS, tag)
    assert {each.method for each in made if "Authorization" in each.headers} == {"POST"}


def test_a_request_says_the_length_of_its_body() -> None:
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


def test_a_conditional_get_expects_nothing_but_304() -> None:
    (request,) = workloads.make("304", Dialect(), DOCUMENTS, tag, 1)
    assert (request.headers, request.status, request.at_least) == ({"If-None-Match": '"1"'}, 304, 0)


def test_with_few_products_a_filter_may_find_less_than_a_page() -> None:
    (few,) = workloads.make("filter", Dialect(), 200, tag, 1)
    (many,) = workloads.make("filter", Dialect(), DOCUMENTS, tag, 1)
    assert (few.starts, few.at_least) == ('{"data":[', 0)
    assert many.at_least > 0


def test_products_have_about_300_bytes_and_ids_in_the_order_of_their_creation() -> None:
    assert 250 < len(BSON.encode(products.fields(12_345))) < 350
    assert products.identifier(9) < products.identifier(10) < products.identifier(10**6)
    assert products.created_at(9) < products.created_at(10)
    assert len({products.price(number) for number in range(DOCUMENTS)}) == DOCUMENTS
