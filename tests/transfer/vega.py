"""The real files that the package `vega-datasets` ships."""

from importlib.util import find_spec
from pathlib import Path


def vega(name: str) -> Path:
    """Return the path of one of its files, without importing pandas as the package itself would."""
    found = find_spec("vega_datasets")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "_data" / name
