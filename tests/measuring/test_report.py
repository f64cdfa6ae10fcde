"""What was measured becomes a page, charts for pages of any colour, and a part of the documentation."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts.measuring import charts, report
from scripts.measuring.plan import QUICK
from scripts.measuring.serving import ROOT
from tests.measuring.rows import row

ROWS = [row(), row(workload="list", server_us=400.0), row(target="static JSON", workload="static")]


def test_performance_page_has_markers_for_each_part() -> None:
    page = (ROOT / report.PAGE).read_text()
    for part in ("standard", "growth", "memory"):
        assert "new figures" in report.between(page, part, "new figures")


def test_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for 'growth'"):
        report.between("<!-- measured: growth -->", "growth", "text")


def test_publishing_twice_gives_same_page_and_charts(tmp_path: Path) -> None:
    (tmp_path / report.PAGE).parent.mkdir(parents=True)
    page = tmp_path / report.PAGE
    page.write_text("# Page\n\n<!-- measured: standard -->\n<!-- end: standard -->\n\nrest\n")
    text, drawings = report.standard(ROWS, "some machine", QUICK)
    seen = []
    for _ in range(2):
        report.publish(tmp_path, "standard", text, drawings)
        seen.append((page.read_text(), (tmp_path / report.CHARTS / "requests.svg").read_text()))
    assert seen[0] == seen[1]
    assert page.read_text().endswith("<!-- end: standard -->\n\nrest\n")
    assert "some machine" in page.read_text()


def test_paragraphs_are_wrapped_but_tables_and_images_are_not() -> None:
    row = f"| {'cell ' * 40}|"
    text = report.wrapped(f"{'word ' * 40}\n\n{row}\n{row}\n\n![a picture of {'much ' * 30}](a.svg)")
    paragraph, *others = text.split("\n\n")
    assert [len(line) for line in paragraph.splitlines()] == [99, 99]
    assert others == [f"{row}\n{row}", f"![a picture of {'much ' * 30}](a.svg)"]


def test_figures_are_written_as_json(tmp_path: Path) -> None:
    report.write(tmp_path, "standard", ROWS, "text", {"a.svg": "<svg/>"})
    kept = json.loads((tmp_path / "standard.json").read_text())
    assert [(each["workload"], each["server_us"]) for each in kept] == [
        ("get", 100.0),
        ("list", 400.0),
        ("static", 100.0),
    ]
    assert (tmp_path / "standard.md").read_text() == "text\n"
    assert (tmp_path / "performance" / "a.svg").exists()


def texts(svg: str) -> list[str]:
    return [text for each in ET.fromstring(svg).iter(f"{charts.ABOVE}text") for text in each.itertext()]  # noqa: S314


@pytest.mark.parametrize("draw", [charts.bars, charts.lines])
def test_chart_contains_all_labels(draw: object) -> None:
    assert callable(draw)
    svg = draw("Cost", ["get", "list"], {"Sheaf": [100.0, None], "other": [200.0, 300.0]})
    assert {"Cost", "get", "list", "Sheaf", "other"} <= set(texts(svg))


def test_chart_has_no_scripts_or_links_and_transparent_background() -> None:
    svg = charts.bars("Cost", ["get"], {"Sheaf": [123.0]})
    root = ET.fromstring(svg)  # noqa: S314
    assert not list(root.iter(f"{charts.ABOVE}script"))
    assert [each for each in root.iter() if any(name.endswith("href") for name in each.attrib)] == []
    assert "123" in texts(svg)
    assert "transparent" in svg
    assert charts.GREY in svg


def test_chart_is_deterministic() -> None:
    drawn = {charts.lines("Cost", ["1", "2"], {"get": [1.0, 2.0]}) for _ in range(2)}
    assert len(drawn) == 1
