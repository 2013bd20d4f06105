"""What C++ libraries print goes to a log while they work, not into the caller's output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core import HitfabricError, ToolError


@contextmanager
def quietly(log: Path, *, what: str, remedy: str) -> Iterator[None]:
    """Send standard output and error of the process to a log, and tell a failure with the log's last line.

    Args:
        log: Appended to.
        what: What may fail.
        remedy: What to do then.

    Raises:
        ToolError: The work raised an error of a library.
    """
    kept = {number: os.dup(number) for number in (1, 2)}
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for number in kept:
            os.dup2(descriptor, number)
        yield
    except HitfabricError:
        raise
    except (RuntimeError, OSError, ValueError, AttributeError) as error:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        reason = "; ".join([" ".join(str(error).split()), *last])
        raise ToolError(f"{what} failed: {reason}", remedy=remedy) from error
    finally:
        os.close(descriptor)
        for number, saved in kept.items():
            os.dup2(saved, number)
            os.close(saved)
