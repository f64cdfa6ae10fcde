"""`sheaf dev` itself, in processes of its own: real files in, an API out, and the same again."""

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from tests.live.processes import DEADLINE_S, Service, running, started
from tests.transfer.vega import vega

DEV = ("-c", "from service.cli import main; main()", "dev", "--port", "0", "--workers", "1")
PAGE, LOCAL_PAGE = "https://app.example", "http://localhost:5173"
REAL = {
    "airports.csv": 3376,
    "burtin.json": 16,
    "cars.json": 406,
    "la-riots.csv": 63,
    "seattle-weather.csv": 1461,
    "us-employment.csv": 120,
}
BLOG = {
    "posts": [{"id": 1, "title": "json-server"}, {"id": 2, "title": "sheaf"}],
    "comments": [{"id": "a", "body": "first", "postId": 1}],
    "profile": {"name": "Ann"},
}
PASSWORD = re.compile(r"Sign in as (\S+) with password (\S+) \(shown only now\):")
LAST_LINE = re.compile(r"  curl \S+/api/auth/login |  sheaf user create ")


@dataclass(frozen=True, slots=True)
class DevServer:
    """A running `sheaf dev`, its client, and what it has told."""

    service: Service
    client: httpx.Client
    banner: str

    def told(self) -> list[str]:
        """Return what was said of the imports."""
        return [line for line in self.service.logged().splitlines() if not line.startswith("20")]

    def total(self, name: str) -> int:
        return sum(1 for _ in self.every(name))

    def every(self, name: str) -> Iterator[dict[str, Any]]:
        for page in range(1, 101):
            answer = self.client.get(f"/api/{name}", params={"page": page, "limit": 100}).json()
            yield from answer["data"]
            if not answer["has_more"]:
                return


@contextmanager
def dev(*arguments: str | Path, data: Path) -> Iterator[DevServer]:
    with running(*DEV, "--data", str(data), *map(str, arguments)) as service:
        assert service.process.stdout is not None
        lines: list[str] = []
        while not lines or not LAST_LINE.match(lines[-1]):
            lines.append(service.process.stdout.readline())
            assert lines[-1], "it ended without its last line"
        with httpx.Client(base_url=service.url, timeout=DEADLINE_S) as client:
            yield DevServer(service, client, "".join(lines))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("files")
    (directory / "db.json").write_text(json.dumps(BLOG))
    lines = "".join(json.dumps({"number": number, "odd": number % 2 == 1}) + "\n" for number in range(1, 31))
    (directory / "Lines of 2024.ndjson").write_text(lines)
    (directory / "zips.csv").write_text("id;zip;price\n7;00501;1.5\n9;10001;\n")
    return [*map(vega, REAL), *sorted(directory.iterdir())]


@pytest.fixture(scope="module")
def first(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """Yield one start with all files, which the tests share."""
    with dev(*files, "--cors", PAGE, data=tmp_path_factory.mktemp("first") / "data") as opened:
        yield opened


def test_service_is_ready_when_it_says_so(first: DevServer) -> None:
    ready = first.client.get("/api/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert "ratelimit" not in ready.headers
    assert "\nRate limits are off; SHEAF_RATE_LIMIT=on turns them on.\n" in first.banner


def test_every_file_becomes_collection_with_all_documents(first: DevServer) -> None:
    counts = {name.partition(".")[0]: count for name, count in REAL.items()}
    counts |= {"lines-of-2024": 30, "posts": 2, "comments": 1, "my-profile": 1, "zips": 2}
    assert {name: first.total(name) for name in counts} == counts
    shown = re.findall(r"^  (\S+) +(\d+) documents?  (\S+)$", first.banner, re.MULTILINE)
    assert {name: (int(count), url) for name, count, url in shown} == {
        name: (count, f"{first.service.url}/api/{name}") for name, count in counts.items()
    }
    everybody = re.search(
        r"^Anyone may read and write these collections: (.*)\.$", first.banner, re.MULTILINE
    )
    assert everybody is not None
    assert set(everybody[1].split(", ")) == set(counts)
    told = first.told()
    assert "airports: 3376 documents imported." in told
    assert "  `profile` is a word of the API itself: the collection is `my-profile`." in told


def test_imported_documents_keep_content_and_order(first: DevServer) -> None:
    cars = [
        {name: value for name, value in car.items() if name != "id" and name[0] != "_"}
        for car in first.every("cars")
    ]
    assert cars == json.loads(vega("cars.json").read_text())


def test_filters_use_inferred_types(first: DevServer) -> None:
    found = first.client.get("/api/cars", params={"filter[Horsepower][gte]": "220", "limit": "100"})
    strong = [car for car in json.loads(vega("cars.json").read_text()) if (car["Horsepower"] or 0) >= 220]
    assert [car["Name"] for car in found.json()["data"]] == [car["Name"] for car in strong]
    warm = first.client.get("/api/seattle-weather", params={"filter": '{"temp_max":{"gt":35}}'}).json()
    assert [day["temp_max"] for day in warm["data"]] == [35.6]


def test_ids_of_file_are_ids_in_api(first: DevServer) -> None:
    assert first.client.get("/api/posts/2").json()["data"]["title"] == "sheaf"
    assert first.client.get("/api/comments/a").json()["data"]["postId"] == 1
    assert first.client.get("/api/zips/7").json()["data"]["zip"] == "00501"
    made = first.client.post("/api/posts", json={"title": "next"})
    assert (made.status_code, made.json()["data"]["id"]) == (201, 3)
    assert first.client.delete("/api/posts/3").status_code == 204


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"number": "one", "odd": True}, "/number"),
        ({"number": 1}, "/odd"),
        ({"number": 1, "odd": True, "x": 1}, "/x"),
    ],
)
def test_document_that_does_not_fit_inferred_schema_is_refused(
    first: DevServer, body: dict[str, Any], pointer: str
) -> None:
    answer = first.client.post("/api/lines-of-2024", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "document.invalid")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_administrator_of_banner_can_sign_in(first: DevServer) -> None:
    told = PASSWORD.search(first.banner)
    assert told is not None
    answer = first.client.post("/api/auth/login", json={"email": told[1], "password": told[2]})
    assert answer.status_code == 200
    token = {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}
    assert first.client.get("/api/collections/cars", headers=token).status_code == 200
    assert first.client.get("/api/collections/cars").status_code == 401


@pytest.mark.parametrize(("origin", "credentials"), [(PAGE, None), (LOCAL_PAGE, "true")])
def test_local_pages_and_pages_of_option_may_call(
    first: DevServer, origin: str, credentials: str | None
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        first.client.options("/api/cars", headers=headers),
        first.client.get("/api/cars", headers=headers),
    ):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers.get("access-control-allow-credentials") == credentials
    assert f"\nPages on any port of localhost, 127.0.0.1 and [::1] and {PAGE} may call it; " in first.banner


def test_foreign_page_may_not_call(first: DevServer) -> None:
    answer = first.client.get("/api/cars", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_second_start_serves_same_data_and_imports_nothing(tmp_path: Path) -> None:
    data, films = tmp_path / "data", tmp_path / "films.json"
    films.write_text(json.dumps([{"title": f"Film {number}"} for number in range(10)]))
    with dev(films, data=data) as one:
        told = PASSWORD.search(one.banner)
        assert told is not None
        account = {"email": told[1], "password": told[2]}
        token = one.client.post("/api/auth/login", json=account).json()["data"]["access_token"]
        gone, kept, *_ = one.every("films")
        assert one.client.delete(f"/api/films/{gone['id']}").status_code == 204
        assert one.client.post("/api/films", json={"title": "Mine"}).status_code == 201
        one.service.signal()
        assert one.service.code() == 0
    with dev(films, data=data) as two:
        assert "films: imported before; 10 in the file, 10 there now (--reset starts over)." in two.told()
        assert [film["title"] for film in two.every("films")] == [
            *(f"Film {number}" for number in range(1, 10)),
            "Mine",
        ]
        assert two.client.get(f"/api/films/{kept['id']}").json()["data"] == kept
        assert PASSWORD.search(two.banner) is None
        assert two.client.post("/api/auth/login", json=account).status_code == 200
        mine = two.client.get("/api/profile", headers={"Authorization": f"Bearer {token}"})
        assert mine.status_code == 200  # the secret is the same
        two.service.signal(signal.SIGINT)
        assert two.service.code() == 0


def test_dev_without_file_serves_seeded_products(tmp_path: Path) -> None:
    with dev(data=tmp_path / "data") as opened:
        products = list(opened.every("products"))
        assert (len(products), products[0]["name"], products[0]["_owner"]) == (12, "Laptop", None)
        assert "Anyone may" not in opened.banner
        assert opened.client.post("/api/products", json={"name": "Mug", "price": 5}).status_code == 401


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "many.ndjson"
    with path.open("w") as file:
        file.writelines(f'{{"number": {number}, "text": "{"x" * 200}"}}\n' for number in range(30_000))
    return path


def until_importing(data: Path, earlier: str | None) -> tuple[int, str]:
    """Wait until the first documents of `many` are there, and no `earlier` collection of that name.

    Returns the port of the private MongoDB, and which collection it is.
    """
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            port = int((data / "mongodb.port").read_text())
        except (OSError, ValueError):
            time.sleep(0.02)
            continue
        with pymongo.MongoClient[dict[str, Any]]("127.0.0.1", port, directConnection=True) as client:
            while time.monotonic() < deadline:
                defined = client["sheaf"]["_collections"].find_one({"_id": "many", "uid": {"$ne": earlier}})
                if defined is not None and client["sheaf"]["many"].estimated_document_count():
                    return port, defined["uid"]
    raise AssertionError("nothing was imported")


def test_interrupted_import_is_completed_by_next_start(many: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    arguments = (*DEV, "--data", str(data), str(many))
    uid = None
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with started(*arguments, "--reset") as process:
            port, uid = until_importing(data, uid)
            process.send_signal(number)
            assert process.wait(2 * DEADLINE_S) == code  # MongoDB may have much to write down first
            assert process.stdout is not None
            assert process.stdout.read() == ""
        if number != signal.SIGKILL:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
    with dev(many, data=data) as opened:
        (told,) = [line for line in opened.told() if line.startswith("many: ")]
        counts = re.fullmatch(
            r"many: (\d+) documents imported, (\d+) there already: the import that was cut off is complete\.",
            told,
        )
        assert counts is not None
        assert (int(counts[1]) > 0, int(counts[2]) > 0) == (True, True)
        assert int(counts[1]) + int(counts[2]) == 30_000
        assert "  many  30000 documents  " in opened.banner
