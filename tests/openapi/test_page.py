"""The documentation page: all of it comes from the service itself, and none of it needs a looser policy."""

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from service.http.contract import page
from service.http.contract.page import ASSETS
from service.http.pipeline.response_headers import CONTENT_SECURITY_POLICY

TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon.png": "image/png",
}
STYLE_ADDRESS = re.compile(r"url\(([^)]*)\)|@import")


class ParsedPage(HTMLParser):
    """The tags of a page with their attributes, and the text within scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._is_inline = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_inline = tag in {"script", "style"}

    def handle_endtag(self, _: str) -> None:
        self._is_inline = False

    def handle_data(self, data: str) -> None:
        self.inline += data.strip() if self._is_inline else ""


async def shown(client: httpx.AsyncClient) -> ParsedPage:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return ParsedPage(answer.text)


def addresses(parsed: ParsedPage) -> list[str]:
    return [
        str(value)
        for _, attributes in parsed.tags
        for name, value in attributes.items()
        if name in {"src", "href"}
    ]


async def test_page_loads_nothing_from_other_hosts(client: httpx.AsyncClient) -> None:
    parsed = await shown(client)
    assert parsed.inline == ""
    assert all(not name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert all(re.match(r"/(?!/)", address) for address in addresses(parsed))
    for name in ("page.js", "page.css"):
        assert "://" not in ASSETS[name].read().content.decode()
    for address in STYLE_ADDRESS.findall(ASSETS["swagger-ui.css"].read().content.decode()):
        assert address.strip("'\"").startswith("data:")


async def test_page_has_the_content_security_policy_of_every_answer(client: httpx.AsyncClient) -> None:
    for path in ("/docs", "/docs/page.js"):
        assert (await client.get(path)).headers["content-security-policy"] == CONTENT_SECURITY_POLICY.decode()


async def test_file_with_its_version_is_cached_for_ever(client: httpx.AsyncClient) -> None:
    parsed = await shown(client)
    files = [address for address in addresses(parsed) if address.startswith("/docs/")]
    assert {file.removeprefix("/docs/").partition("?")[0] for file in files} == set(TYPES)
    for file in files:
        answer = await client.get(file)
        name = file.removeprefix("/docs/").partition("?")[0]
        assert answer.status_code == 200
        assert answer.headers["content-type"] == TYPES[name]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.content == ASSETS[name].read().content
        tag = {"If-None-Match": answer.headers["etag"]}
        assert (await client.get(file, headers=tag)).status_code == 304
        head = await client.head(file)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(answer.content)))


@pytest.mark.parametrize("path", ["/docs", "/docs/page.js", "/docs/page.js?v=old"])
async def test_file_without_version_is_revalidated(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).headers["cache-control"] == "public, no-cache"


async def test_large_files_are_compressed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "br"})
    assert answer.headers["content-encoding"] == "br"
    assert int(answer.headers["content-length"]) < 800_000


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/docs/other.js", 404),
        ("/docs/..%2f__init__.py", 404),
        ("/docs/__init__.py", 404),
        ("/docs/page.js?version=1", 400),
        ("/docs?v=1", 400),
    ],
)
async def test_invalid_expand_paths_are_refused(client: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await client.get(path)).status_code == status


async def test_page_with_invalid_token_is_served(client: httpx.AsyncClient) -> None:
    assert (await client.get("/docs", headers={"Authorization": "Bearer old"})).status_code == 200


def test_page_script_shows_the_contract_after_the_session_expired() -> None:
    assert 'request.credentials = "omit";' in ASSETS["page.js"].read().content.decode()


def test_page_files_are_in_the_package() -> None:
    folder = Path(page.__file__).parent
    assert {each.name for each in folder.iterdir() if each.is_file()} == {
        "__init__.py",
        "index.html",
        "page.css",
        "page.js",
    }
