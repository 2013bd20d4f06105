"""Matplotlib figures as inline SVG that follows the page's light and dark colours.

Figures are drawn in the light colours of `PALETTE`; in the SVG each of them becomes a CSS variable of the page.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

PALETTE = MappingProxyType(
    {
        "ink": "#20262c",
        "muted": "#68717a",
        "line": "#dfe3e7",
        "blue": "#2f6eb3",
        "orange": "#c9652a",
        "green": "#2f7d57",
        "purple": "#7a58a8",
        "red": "#b5382f",
    }
)
# Hits are drawn as pixels, which no style sheet can colour: a grey that is faint on both grounds.
HIT_GREY = "#8a929a"
# Stands for p with subscript T in labels: mathtext would place every letter for one font, the page has its own.
PT = "p\u2060T"
_PT_SPANS = (
    '<tspan font-style="italic">p</tspan><tspan dy="2.2" font-size="75%">T</tspan><tspan dy="-2.2">\u200b</tspan>'
)
_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SERIES = ("blue", "orange", "green", "purple", "red")
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hitfabric",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": PALETTE["ink"],
    "axes.edgecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["ink"],
    "axes.titlecolor": PALETTE["ink"],
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALETTE["line"],
    "grid.linewidth": 0.6,
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "xtick.labelcolor": PALETTE["muted"],
    "ytick.labelcolor": PALETTE["muted"],
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def power_of_ten(value: float, _position: float) -> str:
    """Tick label of a logarithmic axis ("10⁻³"), empty between the powers; matplotlib's own needs mathtext."""
    exponent = math.log10(value) if value > 0 else math.nan
    if not exponent.is_integer():
        return ""
    return "10" + str(int(exponent)).translate(_SUPERSCRIPTS)


def printable(text: str) -> str:
    """`text` with every character that neither XML nor HTML allows replaced by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def colour(name: str) -> str:
    """The drawing colour called `name`; becomes the page's variable of that name."""
    return PALETTE[name]


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of `width` x `height` inches with the page's style; draw it and call `to_svg` inside the block."""
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def to_svg(drawn: Figure, *, name: str, description: str) -> Markup:
    """Turn a figure into an inline SVG element.

    Args:
        drawn: The figure.
        name: Unique on the page; prefixes every id inside.
        description: What the figure shows, for readers who cannot see it.

    Returns:
        One `<svg>` element without XML declaration, metadata or external reference, equal for equal figures.
    """
    FigureCanvasSVG(drawn)
    for item in drawn.findobj(Text):
        if isinstance(item, Text):
            item.set_text(printable(item.get_text()))
    stream = io.StringIO()
    drawn.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, dpi=180)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href=", "href=")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg).replace(PT, _PT_SPANS)
    for variable, value in PALETTE.items():
        svg = svg.replace(value, f"var(--{variable})")
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1).rstrip())
