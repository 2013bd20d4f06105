"""Damage done to the text of files, for parametrized tests."""

from __future__ import annotations

from collections.abc import Callable


def replacing(old: str, new: str) -> Callable[[str], str]:
    """Function that replaces the first occurrence in a text, which must be there."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change
