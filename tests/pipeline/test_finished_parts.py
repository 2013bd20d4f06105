"""Finished parts of a long run: nothing lost, nothing twice, whatever dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitfabric.core import DataError
from hitfabric.pipeline.parts import Parts


def interrupted(run: Path, *, key: str = "key", items: int = 3) -> Path:
    """Parts that an exception left behind; returns their file."""
    with pytest.raises(KeyboardInterrupt), Parts(run, key=key, resume=True) as parts:
        (parts.scratch / "half").mkdir()
        for number in range(items):
            parts.add(f"item{number}", {"count": number})
        raise KeyboardInterrupt
    return run / "parts" / f"{key}.jsonl"


def test_finished_items_are_found_again_and_gone_after_success(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with Parts(tmp_path, key="other", resume=True) as parts:
        assert parts.found == {}
    assert not (tmp_path / "parts").exists()
    interrupted(tmp_path)
    with Parts(tmp_path, key="key", resume=True) as parts:
        assert parts.found == {f"item{number}": {"count": number} for number in range(3)}
        assert list(parts.scratch.iterdir()) == []
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("torn", ['{"item": "item3", "cou', '{"item": "item3"}', "[1]\n", "\x00\x00", '{"count": 1}\n'])
def test_a_torn_line_is_cut_off(tmp_path: Path, torn: str) -> None:
    path = interrupted(tmp_path)
    with path.open("a") as stream:
        stream.write(torn)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), Parts(tmp_path, key="key", resume=True) as parts:
            assert set(parts.found) - {"item9"} == {"item0", "item1", "item2"}
            parts.add("item9", {"count": 9})
            raise KeyboardInterrupt
    with Parts(tmp_path, key="key", resume=True) as parts:
        assert parts.found["item9"] == {"count": 9}


def test_starting_anew_forgets(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with Parts(tmp_path, key="key", resume=False) as parts:
        assert parts.found == {}


def test_nothing_finished_leaves_nothing(tmp_path: Path) -> None:
    interrupted(tmp_path, items=0)
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_other_settings_that_fails_at_once_takes_nothing_away(tmp_path: Path) -> None:
    interrupted(tmp_path)
    interrupted(tmp_path, key="mistyped", items=0)
    with Parts(tmp_path, key="key", resume=True) as parts:
        assert set(parts.found) == {"item0", "item1", "item2"}


def test_two_runs_into_one_directory_are_refused(tmp_path: Path) -> None:
    with Parts(tmp_path, key="key", resume=True), pytest.raises(DataError, match="another process is validating into"):
        Parts(tmp_path, key="key", resume=True)
