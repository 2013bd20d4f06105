"""Pages with generated parts: what stands between two marks is replaced, the text around it is a person's.

<!-- begin targets: written by hitfabric evaluate --all -->
...
<!-- end targets -->
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core import DataError, atomic_file

BEGIN = "<!-- begin {name}: written by hitfabric evaluate --all -->"
END = "<!-- end {name} -->"


def replace_blocks(text: str, blocks: Mapping[str, str], *, where: str, append: bool = False) -> str:
    """Put generated blocks into a page.

    Args:
        text: The page.
        blocks: Content by name.
        where: Name of the page, for messages.
        append: A block whose marks are missing goes to the end of the page; otherwise it is an error.

    Returns:
        The page with every block's content replaced and everything else as it was.

    Raises:
        DataError: Marks are missing, repeated or in the wrong order.
    """
    for name, content in blocks.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        counts = (text.count(begin), text.count(end))
        block = f"{begin}\n{content.strip()}\n{end}"
        if counts == (0, 0) and append:
            text = f"{text.rstrip()}\n\n{block}\n"
        elif counts == (1, 1) and text.index(begin) < text.index(end):
            text = text[: text.index(begin)] + block + text[text.index(end) + len(end) :]
        else:
            raise DataError(
                f"{where}: the marks of block {name} are not there once each, in order",
                remedy=f"write {begin} and, on a later line, {end}",
            )
    return text


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
