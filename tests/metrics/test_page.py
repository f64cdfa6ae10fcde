"""docs/reference/observability.md says of every metric what the code says, and asks for no other."""

import re
from pathlib import Path

import pytest
import yaml

from service.runtime.metrics.families import FAMILIES, Family

PAGE = (Path(__file__).parents[2] / "docs/reference/observability.md").read_text()
NAMED = re.compile(r"\b(?:sheaf|process)_[a-z_]+")
OF_HISTOGRAMS = ("_bucket", "_count", "_sum")
NO_METRICS = {"sheaf_metrics_token"}


def row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "none"
    return f"| `{family.name}` | {family.kind} | {labels} | {family.meaning} |"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_metric_is_documented(family: Family) -> None:
    assert row(family) in PAGE.splitlines()


def test_documentation_names_no_unknown_metric() -> None:
    known = set(FAMILIES) | NO_METRICS
    for name, family in FAMILIES.items():
        if family.kind == "histogram":
            known |= {name + suffix for suffix in OF_HISTOGRAMS}
    assert set(NAMED.findall(PAGE)) - known == set()


def test_labels_in_documented_queries_exist() -> None:
    asked = re.findall(r"\b((?:sheaf|process)_[a-z_]+)\{([^}]*)\}", PAGE)
    assert len(asked) > 5
    for name, conditions in asked:
        family = FAMILIES[re.sub(r"_(bucket|count|sum)$", "", name)]
        labels = set(re.findall(r"(\w+)\s*[=!]", conditions)) - {"le"}
        assert labels <= set(family.labels), name


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_metric_names_follow_prometheus_conventions(family: Family) -> None:
    assert re.fullmatch(r"(sheaf|process)_[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert bool(family.bounds) == (family.kind == "histogram")
    assert family.meaning.endswith(".")


def test_documented_alerts_are_valid_prometheus_rules() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (rules,) = [yaml.safe_load(block)["groups"][0]["rules"] for block in blocks if "groups:" in block]
    assert len(rules) >= 6
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "annotations"}
        assert NAMED.search(rule["expr"])
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["annotations"]["summary"].endswith(".")
