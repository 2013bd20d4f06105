"""TensorBoard event files, by tensorboardX: small, and without TensorBoard itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from ..core import ToolError


class EventWriter:
    """Appends scalars to the event files of one folder; a context manager.

    A new file per use, closed at once: nothing stays open in a training that may be killed at any time, and TensorBoard
    reads the files of a folder as one.

    Args:
        folder: Folder of the event files.
        suffix: End of the file's name, so that two files of one second differ.

    Raises:
        ToolError: tensorboardX is not installed.
    """

    def __init__(self, folder: Path, *, suffix: str) -> None:
        if find_spec("tensorboardX") is None:
            raise ToolError("package tensorboardX is not installed", remedy="run: pip install 'hitfabric[tensorboard]'")
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), filename_suffix=f".{suffix}")

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, row: Mapping[str, float | int | str], *, step: int) -> None:
        """Add every number of `row` as a scalar of its name, at `step`."""
        for name, value in row.items():
            if not isinstance(value, str):
                self._writer.add_scalar(name, value, step)
