"""What is finished of a long run: one line per item, appended as it is done, read again after a crash."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..core import DataError

FOLDER = "parts"
SCRATCH = "scratch"


class Parts:
    """Finished items of the run that `key` names, in `<run directory>/parts/<key>.jsonl`.

    A line is written whole or, if the process dies in it, ignored and cut off at the next start. Items of another key
    (another network, other vectors, other code) are never read.

    Args:
        run: Run directory.
        key: Names everything the results depend on.
        resume: Take what an interrupted run finished; otherwise start anew.

    Raises:
        DataError: Another process is writing to this run directory.

    """

    def __init__(self, run: Path, *, key: str, resume: bool) -> None:
        self._folder = run / FOLDER
        self.scratch = self._folder / SCRATCH
        self._path = self._folder / f"{key}.jsonl"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise DataError(
                f"another process is validating into {run}", remedy="wait, or give another --out"
            ) from error
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        self.found: dict[str, dict[str, Any]] = self._read() if resume else {}
        self._stream = self._path.open("a" if resume else "w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None:
            shutil.rmtree(self._folder)
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)
            if not self._path.stat().st_size:
                self._path.unlink()  # nothing was finished
            if not list(self._folder.glob("*.jsonl")):  # nor by a run with other settings
                shutil.rmtree(self._folder)
        self._lock.close()

    def add(self, item: str, record: dict[str, Any]) -> None:
        """Append one finished item."""
        self._stream.write(json.dumps({"item": item, **record}) + "\n")
        self._stream.flush()

    def _read(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        if not self._path.exists():
            return found
        whole = 0
        with self._path.open("rb") as stream:
            for line in stream:
                try:
                    record = json.loads(line)
                    item = record.pop("item")
                except (ValueError, KeyError, AttributeError, TypeError):
                    break
                if not line.endswith(b"\n"):
                    break
                found[item] = record
                whole += len(line)
        with self._path.open("ab") as stream:
            stream.truncate(whole)
        return found
