"""The pages of examples/: they allow themselves no more than they need."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.client.pages import POLICY, SERVICE, policy
from tests.live.processes import ROOT

EXAMPLES = ROOT / "examples"
PAGES = sorted(EXAMPLES.glob("*.html"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_allows_itself_its_own_script_and_the_service_alone(page: Path) -> None:
    text = page.read_text()
    [(_, allowed, _)] = POLICY.findall(text)
    assert allowed == policy(text, SERVICE)
    assert not re.findall(r"\son\w+=|\sstyle=", text)
    addresses = {urlsplit(address)[:2] for address in re.findall(r"https?://[^\"'\s;]+", text)}
    assert addresses == {urlsplit(SERVICE)[:2]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_asks_for_collections_that_the_examples_make(page: Path) -> None:
    names = set(re.findall(rf"{SERVICE}/api/(\w+)", page.read_text()))
    assert names
    assert {name for name in names if not (EXAMPLES / f"{name}.json").exists()} == set()
