"""No file of a user can run code: what reads files neither unpickles nor builds objects from YAML."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from test_style import ROOMS, room_files

NEEDED = {"np.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}
FORBIDDEN = {
    *(f"yaml.{name}" for name in ("load", "load_all", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all")),
    *(f"{module}.{name}" for module in ("pickle", "marshal", "dill", "cloudpickle") for name in ("load", "loads")),
    *("pickle.Unpickler", "shelve.open", "joblib.load", "pd.read_pickle", "eval", "exec"),
}

NO_FILES = {
    "dask_workers.py": "what the scheduler sends, whom SECURITY.md tells to trust",
    "spread.py": "an error that was pickled the moment before",
}


def unsafe_calls(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        key, value = NEEDED.get(name, (None, None))
        if name in FORBIDDEN or (key is not None and given.get(key) != str(value)):
            found.append(f"line {node.lineno}: {name}")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_runs_code(room: str) -> None:
    found = {
        path.name: unsafe_calls(path.read_text(encoding="utf-8"))
        for path in room_files(room)
        if path.name not in NO_FILES
    }
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "call",
    [
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "yaml.load(text)",
        "pickle.loads(content)",
    ],
)
def test_the_check_can_fail(call: str) -> None:
    assert len(unsafe_calls(f"import x\n{call}\n")) == 1


def test_a_pickle_in_an_archive_is_refused(tmp_path: Path) -> None:
    import numpy as np

    from hitfabric.core import DataError
    from hitfabric.detector.graph_sample import KEYS, read_graph

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "ran"),)

    path = tmp_path / "graph.npz"
    np.savez(path, **{key: np.array([Trap()], dtype=object) for key in KEYS})
    with pytest.raises(DataError, match="cannot read"):
        read_graph(path)
    assert not (tmp_path / "ran").exists()
