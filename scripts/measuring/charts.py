"""Charts as SVG that can be read on a light and on a dark page."""

import sys
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

import pygal
from pygal.style import Style

sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)]
# Pygal hooks itself into every import to find maps, in a way that Python warns of; there are none here.

GREY = "#808080"
"""Of all text and lines: as far from white as from black."""
COLOURS = ("#2f81f7", "#db7c26", "#2da44e", "#a371f7", "#cf5b8b", "#8c8c8c")
STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground=GREY,
    foreground_strong=GREY,
    foreground_subtle=GREY,
    guide_stroke_color=GREY,
    major_guide_stroke_color=GREY,
    value_colors=(GREY,) * len(COLOURS),
    colors=COLOURS,
    font_family="sans-serif",
    label_font_size=12,
    major_label_font_size=12,
    value_font_size=11,
    opacity="1",
    opacity_hover="1",
)
SIZE = {"width": 860, "height": 420}
ABOVE = "{http://www.w3.org/2000/svg}"

Series = Mapping[str, Sequence[float | None]]


def bars(title: str, labels: Sequence[str], series: Series) -> str:
    """Draw bars side by side, each with its figure above it."""
    chart = pygal.Bar(**options(title), print_values_position="top", print_values=True, show_y_guides=False)
    return drawn(chart, labels, series)


def lines(title: str, labels: Sequence[str], series: Series) -> str:
    """Draw a line for each series over labels that stand for ever larger amounts."""
    return drawn(pygal.Line(**options(title), include_x_axis=True), labels, series)


def options(title: str) -> dict[str, object]:
    """Return what all charts have in common: no script, nothing that differs from one drawing to the next."""
    return {
        "title": title,
        "style": STYLE,
        "js": [],
        "no_prefix": True,
        "value_formatter": whole,
        "margin_right": 50,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 3,
        "disable_xml_declaration": True,
        **SIZE,
    }


def whole(value: float) -> str:
    """Return a figure without a fraction."""
    return f"{value:,.0f}"


def drawn(chart: pygal.Graph, labels: Sequence[str], series: Series) -> str:
    """Fill a chart and give it as SVG, without scripts and comments."""
    chart.x_labels = list(labels)
    for name, values in series.items():
        chart.add(name, list(values))
    return plain(chart.render())


def plain(svg: str) -> str:
    """Take out of an SVG what pages do not need: comments, scripts, tooltips' texts."""
    ET.register_namespace("", ABOVE.strip("{}"))
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(svg)  # noqa: S314 - our own; parsing leaves comments out
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{ABOVE}script" or (
                child.tag == f"{ABOVE}desc" and child.get("class") != "label"
            ):
                parent.remove(child)
    return ET.tostring(root, encoding="unicode") + "\n"
