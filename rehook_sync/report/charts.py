"""Charts over time as inline SVG: no script, no styles, all text as text.

The page's style sheet colours the series by their classes, for light and dark.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import pygal
from markupsafe import Markup
from pygal.etree import etree
from pygal.style import Style

# pygal adds an import finder for its maps, which are not used here; Python 3.11 warns about it at each import.
sys.meta_path[:] = [each for each in sys.meta_path if not type(each).__module__.startswith("pygal")]
# Where lxml happens to be installed, as by Redshift's driver, pygal would build its charts of lxml's elements.
etree.to_etree()

__all__ = ["Chart", "Series", "draw_columns", "draw_lines"]

_SERIES = re.compile(r"^series serie-(\d+) ")
_SIZES = {"wide": (860, 250, 9), "narrow": (330, 220, 4)}
"""Size -> width and height in pixels, and how many labels fit below."""
_FONT = 12
_NAMESPACE = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Series:
    """One series. Shape:  name: for people.  kind: its class in the style sheet.  values: one per label, None is a gap."""

    name: str
    kind: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart in two sizes; the page shows one of them."""

    wide: Markup
    narrow: Markup


def draw_columns(labels: Sequence[str], series: Sequence[Series], says: str) -> Chart:
    """Return stacked columns; `says` describes them to screen readers."""
    return _draw(pygal.StackedBar, labels, series, says)


def draw_lines(labels: Sequence[str], series: Sequence[Series], says: str) -> Chart:
    """Return lines; `says` describes them to screen readers."""
    return _draw(pygal.Line, labels, series, says)


def _draw(kind: type[Any], labels: Sequence[str], series: Sequence[Series], says: str) -> Chart:
    return Chart(*(_draw_sized(kind, labels, series, says, size) for size in _SIZES))


def _draw_sized(kind: type[Any], labels: Sequence[str], series: Sequence[Series], says: str, size: str) -> Markup:
    width, height, room = _SIZES[size]
    chart = kind(
        width=width,
        height=height,
        margin=6,
        spacing=4,
        show_legend=False,
        no_prefix=True,
        js=(),
        style=Style(label_font_size=_FONT, major_label_font_size=_FONT, no_data_font_size=_FONT),
        min_scale=3,
        max_scale=5,
        include_x_axis=True,
        value_formatter=_number,
        truncate_label=-1,
        show_minor_x_labels=False,
        dots_size=2.5,
        disable_xml_declaration=True,
    )
    step = -(-len(labels) // room) or 1
    # Labels may repeat; the chart goes by their position.
    chart.x_labels = list(labels)
    chart.x_labels_major = [label for place, label in enumerate(labels) if place % step == 0]
    for each in series:
        chart.add(each.name, list(each.values))
    chart.add_xml_filter(lambda root: _clean(root, labels, series, says, size))
    return Markup(chart.render(is_unicode=True))  # noqa: S704 - the library writes it as XML, which escapes every text


def _number(value: float) -> str:
    return f"{value:,.6g}" if value < 1e6 else f"{value / 1e6:,.6g} M"


def _clean(root: Element, labels: Sequence[str], series: Sequence[Series], says: str, size: str) -> Element:
    """Remove what a page does not need, set classes on the series, give each mark a title."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _is_needless(child):
                parent.remove(child)
    root.attrib.pop("id", None)
    root.set("class", f"chart {size}")
    root.set("role", "img")
    root.set("aria-label", says)
    for group in root.iter():
        match = _SERIES.match(group.get("class", ""))
        if match:
            one = series[int(match[1])]
            group.set("class", f"series {one.kind}")
            _name_marks(group, one, labels)
    return root


def _is_needless(element: Element) -> bool:
    if callable(element.tag):  # a comment
        return True
    name = _NAMESPACE.sub("", element.tag)
    kind = element.get("class", "")
    is_nothing = name == "g" and kind == "bar" and all(each.get("height") in {None, "0.0", "0"} for each in element)
    return name in {"defs", "title", "desc"} or kind.endswith(("text-overlay", "tooltip-overlay", "titles")) or is_nothing


def _name_marks(group: Element, series: Series, labels: Sequence[str]) -> None:
    """Give each mark a title, which browsers show as a tooltip."""
    marks = [each for each in group.iter() if each.get("class", "").split(" ")[0] in {"rect", "dot"}]
    # Columns of height 0 and dots of gaps have no marks.
    is_columns = any(each.get("class") == "bars" for each in group)
    shown = [pair for pair in zip(labels, series.values, strict=True) if pair[1] or (pair[1] is not None and not is_columns)]
    for mark, (label, value) in zip(marks, shown, strict=False):
        SubElement(mark, "title").text = f"{label}: {_number(value or 0)} {series.name}"
