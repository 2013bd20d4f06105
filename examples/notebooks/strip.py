"""Take the outputs out of notebooks, as the hook before a commit does: what git holds is what people wrote.

    python examples/notebooks/strip.py NOTEBOOK...

Exit code 1 if a notebook was changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat


def stripped(text: str) -> str:
    """The notebook without outputs, counters and what the editor keeps for itself."""
    notebook = nbformat.reads(text, as_version=4)
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.writes(notebook, indent=1) + "\n"


def main() -> int:
    """Rewrite those that need it."""
    changed = False
    for path in map(Path, sys.argv[1:]):
        before = path.read_text(encoding="utf-8")
        after = stripped(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"stripped {path}")
            changed = True
    return int(changed)


if __name__ == "__main__":
    sys.exit(main())
