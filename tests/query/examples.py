"""The examples of a page of the documentation, taken out of its Markdown so that they can be run."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.conftest import Service

ANYTHING = "…"
"""Stands in an answer for text that differs from run to run, such as a cursor."""

_BLOCK = re.compile(r"^```(json|http)([^\n]*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_DATA = re.compile(r' title="POST (/api/[^"]+)"')
_ROW = re.compile(r"^\| `([^`]*)` \| ([^|]*) \|$", re.MULTILINE)
_TABLE = re.compile(r"^\| filter \| finds \|\n\|---\|---\|\n((?:\|.*\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as a page writes it: nothing percent-encoded but what must be."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True, slots=True)
class Example:
    """A request and the whole answer that the page promises."""

    request: Request
    answer: Any

    @property
    def status(self) -> int:
        """Return the status that the answer must have: problems tell theirs, all else is 200."""
        is_problem = isinstance(self.answer, dict) and "status" in self.answer and "code" in self.answer
        return int(self.answer["status"]) if is_problem else 200


@dataclass(frozen=True, slots=True)
class Page:
    """What a page has: data to load first, then examples, and rows of filters with the ids that they find."""

    dataset: list[Request]
    examples: list[Example]
    rows: list[tuple[str, list[str]]]


def read_page(path: Path) -> Page:
    """Take a page's examples out of it; an `http` block without an answer after it is an error."""
    text = path.read_text()
    dataset, examples = [], []
    waiting: Request | None = None
    for language, label, content in _BLOCK.findall(text):
        if language == "http" and waiting is None:
            waiting = _request(content)
        elif match := _DATA.fullmatch(label):
            dataset.append(Request("POST", match[1], body=content))
        elif language == "json" and waiting is not None:
            examples.append(Example(waiting, json.loads(content)))
            waiting = None
        elif waiting is not None:
            raise ValueError(f"{waiting} has no answer")
    return Page(dataset, examples, list(_rows(text)))


def agrees(promised: Any, answered: Any) -> bool:
    """Return whether an answer is what the page promises; `…` there stands for any text."""
    if promised == ANYTHING:
        return isinstance(answered, str)
    if isinstance(promised, dict) and isinstance(answered, dict):
        return promised.keys() == answered.keys() and all(
            agrees(part, answered[name]) for name, part in promised.items()
        )
    if isinstance(promised, list) and isinstance(answered, list):
        return len(promised) == len(answered) and all(map(agrees, promised, answered))
    return type(promised) is type(answered) and bool(promised == answered)


def _request(content: str) -> Request:
    head, _, body = content.partition("\n\n")
    first, *lines = head.strip().splitlines()
    method, target = first.split(" ", 1)
    headers = dict(line.split(": ", 1) for line in lines)
    return Request(method, quote(target, safe="/?&=%,:"), headers, body)


def _rows(text: str) -> Iterator[tuple[str, list[str]]]:
    for table in _TABLE.findall(text):
        for asked, found in _ROW.findall(table):
            yield asked, re.findall(r"`([^`]*)`", found)


async def load_dataset(service: Service, page: Page) -> None:
    """Send the page's data, in order, as an administrator."""
    headers = service.signed_in("admin") | {"Content-Type": "application/json"}
    for request in page.dataset:
        answer = await service.client.post(request.target, content=request.body, headers=headers)
        assert answer.status_code == 201, answer.text
