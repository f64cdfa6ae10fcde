"""The documentation page: our own small files, and Swagger UI's from its package; nothing from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from swagger_ui_bundle import swagger_ui_path

OWN = Path(__file__).parent
_HTML = "text/html"
_SCRIPT = "text/javascript"
_STYLE = "text/css"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file ready to be sent; `version` is a digest of its content."""

    content: bytes
    media_type: str
    version: str

    @classmethod
    def of(cls, content: bytes, media_type: str) -> "Asset":
        """Make it of its content."""
        return cls(content, media_type, blake2b(content, digest_size=12).hexdigest())


@dataclass(frozen=True, slots=True)
class File:
    """A file that the page needs, read when it is first asked for."""

    path: Path
    media_type: str

    def read(self) -> Asset:
        """Return its content."""
        return _read(self)


@cache
def _read(file: File) -> Asset:
    return Asset.of(file.path.read_bytes(), file.media_type)


ASSETS: Mapping[str, File] = {
    "page.css": File(OWN / "page.css", _STYLE),
    "page.js": File(OWN / "page.js", _SCRIPT),
    "swagger-ui.css": File(swagger_ui_path / "swagger-ui.css", _STYLE),
    "swagger-ui-bundle.js": File(swagger_ui_path / "swagger-ui-bundle.js", _SCRIPT),
    "favicon.png": File(swagger_ui_path / "favicon-32x32.png", "image/png"),
}
"""The files by the names that they have under `/docs/`."""


@cache
def index() -> Asset:
    """Return the page, in which every file's address has its version, so that it can be kept for ever."""
    text = (OWN / "index.html").read_text()
    for name, file in ASSETS.items():
        text = text.replace(f'"/docs/{name}"', f'"/docs/{name}?v={file.read().version}"')
    return Asset.of(text.encode(), _HTML)
