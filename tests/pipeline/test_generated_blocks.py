"""Pages with generated parts: only what stands between the marks changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import DataError
from hitfabric.pipeline.generated_blocks import BEGIN, END, markdown_table, replace_blocks

MARKS = f"{BEGIN.format(name='table')}\n{END.format(name='table')}"
TEXT = st.text(st.characters(blacklist_characters="<>", blacklist_categories=("Cs",)))


@given(before=TEXT, after=TEXT, first=TEXT, second=TEXT)
def test_the_text_around_a_block_stays(before: str, after: str, first: str, second: str) -> None:
    page = f"{before}{MARKS}{after}"
    once = replace_blocks(page, {"table": first}, where="page")
    assert once.startswith(before) and once.endswith(after) and first.strip() in once
    twice = replace_blocks(once, {"table": second}, where="page")
    assert twice == replace_blocks(page, {"table": second}, where="page")


def test_a_new_block_goes_to_the_end() -> None:
    page = replace_blocks("# Page\n", {"table": "x"}, where="page", append=True)
    assert page == f"# Page\n\n{BEGIN.format(name='table')}\nx\n{END.format(name='table')}\n"


@pytest.mark.parametrize(
    "page",
    ["", MARKS + MARKS, BEGIN.format(name="table"), "\n".join(reversed(MARKS.splitlines()))],
    ids=["missing", "twice", "no end", "wrong order"],
)
def test_wrong_marks_are_refused(page: str) -> None:
    with pytest.raises(DataError, match="page: the marks of block table"):
        replace_blocks(page, {"table": "x"}, where="page")


def test_bars_in_cells_are_escaped() -> None:
    assert markdown_table(("a",), [("|eta|",)]) == "| a |\n| --- |\n| \\|eta\\| |"
