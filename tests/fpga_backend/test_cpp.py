"""The backend's C++ outside the server: JSON, signatures, request checks, formatting."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import DataError
from hitfabric.fpga_backend import native_loop, wire
from hitfabric.fpga_backend.build import SOURCE_DIRECTORY, sources
from hitfabric.fpga_backend.signature import Signature, network_signature, tracking_signature
from hitfabric.quantization import TypedGraph

RunCheck = Callable[..., subprocess.CompletedProcess[str]]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # a lone surrogate is no text
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
COMMON = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@COMMON
@given(JSON_VALUES, st.booleans())
def test_json_survives_reading_and_writing(check_program: RunCheck, value: Any, ascii_only: bool) -> None:
    done = check_program("json", text=json.dumps(value, ensure_ascii=ascii_only))
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        '{"a":1,}',
        '{"a":1,"a":2}',
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "nul",
        "truex",
        '"\t"',
        '"\\x"',
        "[1] 2",
        '"\\ud800"',
        '"\\ud800\\u0041"',
        '"\\udc00"',
        '"abc',
        "{a:1}",
        "NaN",
        "[" * 100 + "]" * 100,
        "'a'",
        "-",
        "\x00",
    ],
)
def test_malformed_json_is_refused_with_its_place(check_program: RunCheck, text: str) -> None:
    done = check_program("json", text=text)
    assert done.returncode == 1
    assert done.stdout.startswith("JSON offset ")


def _request(
    check_program: RunCheck, tmp_path: Path, signature: Signature, arrays: Sequence[np.ndarray | None]
) -> subprocess.CompletedProcess[str]:
    signature.save(tmp_path)
    memory = bytearray(wire.frame_bytes(arrays))
    frame = wire.Frame(request_id=1, status=wire.Status.REQUEST, tensors=tuple(arrays))
    wire.write_frame(memoryview(memory), 0, frame)
    (tmp_path / "frame").write_bytes(memory)
    return check_program("request", str(tmp_path / "signature.json"), str(tmp_path / "frame"))


def _graph(nodes: int = 4, edges: int = 6, index: int = 3) -> list[np.ndarray]:
    return [
        np.zeros((nodes, 3), np.float32),
        np.zeros((edges, 4), np.float32),
        np.full((edges, 2), index, np.int64),
    ]


def _with(arrays: list[np.ndarray], which: int, place: tuple[int, ...], value: float) -> list[np.ndarray]:
    arrays[which][place] = value
    return arrays


@pytest.mark.parametrize("sizes", [(4, 6), (1, 1), (4, 0)])
def test_good_requests_pass_in_both_languages(
    check_program: RunCheck, tmp_path: Path, graphs: dict[str, TypedGraph], sizes: tuple[int, int]
) -> None:
    signature = network_signature(graphs["interaction_network"])
    arrays = _graph(*sizes, index=0)
    done = _request(check_program, tmp_path, signature, arrays)
    assert (done.returncode, done.stdout.split()) == (0, [f"E={sizes[1]}", f"N={sizes[0]}"])
    names = [tensor.name for tensor in signature.inputs]
    assert signature.check(dict(zip(names, arrays, strict=True))) == {"N": sizes[0], "E": sizes[1]}


BAD_GRAPHS = {
    "index at the number of nodes": (_graph(index=4), "edge_index"),
    "negative index": (_with(_graph(), 2, (5, 1), -1), "edge_index"),
    "huge index": (_with(_graph(), 2, (0, 0), 2**62), "edge_index"),
    "NaN node": (_with(_graph(), 0, (2, 1), np.nan), "nodes"),
    "infinite edge": (_with(_graph(), 1, (5, 3), -np.inf), "edges"),
    "too few columns": ([_graph()[0][:, :2], *_graph()[1:]], "nodes"),
    "another rank": ([_graph()[0][None], *_graph()[1:]], "nodes"),
    "another type": ([_graph()[0].astype(np.int64), *_graph()[1:]], "nodes"),
    "index of another type": ([*_graph()[:2], _graph()[2].astype(np.int32)], "edge_index"),
    "more indices than edges": ([*_graph()[:2], _graph(edges=7)[2]], "edge_index"),
    "above the node limit": (_graph(nodes=65), "nodes"),
    "above the edge limit": (_graph(edges=129), "edges"),
}


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_bad_requests_name_the_tensor_in_both_languages(
    check_program: RunCheck, tmp_path: Path, graphs: dict[str, TypedGraph], case: str
) -> None:
    signature = network_signature(graphs["interaction_network"], device="csim")
    arrays, culprit = BAD_GRAPHS[case]
    done = _request(check_program, tmp_path, signature, arrays)
    assert done.returncode == 1
    assert done.stdout.startswith(f"tensor '{culprit}'"), done.stdout
    if "limit" in case:
        assert "<= " in done.stdout
    names = [tensor.name for tensor in signature.inputs]
    with pytest.raises(DataError, match=f"tensor {culprit} "):
        signature.check(dict(zip(names, arrays, strict=True)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 1, 40, 99])
def test_every_place_is_checked_for_finiteness(check_program: RunCheck, tmp_path: Path, value: Any, row: int) -> None:
    features = np.full((100, 3), np.float32(3.4e38))
    assert _request(check_program, tmp_path, tracking_signature(), [features, None]).returncode == 0
    features[row, 2] = value
    done = _request(check_program, tmp_path, tracking_signature(), [features, None])
    assert (done.returncode, done.stdout) == (1, f"tensor 'FEATURES' row {row} column 2 is not finite")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"version": 1', '"version": 2', "version"),
        ('"TYPE_FP32"', '"TYPE_FP8"', "TYPE_FP8"),
        ('"max_batch_size"', '"maximum"', "max_batch_size"),
        ('"limits": {', '"limits": [', "offset"),
        ('"shape": [', '"shape": [[],', "integer"),
        ('"optional": false', '"optional": true', "FEATURES cannot be optional"),
    ],
)
def test_a_malformed_signature_is_refused(
    check_program: RunCheck, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    tracking_signature().save(tmp_path)
    path = tmp_path / "signature.json"
    path.write_text(path.read_text().replace(old, new))
    (tmp_path / "frame").write_bytes(b"")
    done = check_program("request", str(path), str(tmp_path / "frame"))
    assert done.returncode != 0
    assert reason in done.stdout + done.stderr


def test_cpp_compiles_without_warnings() -> None:
    strict = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    files = [*sources(), native_loop.SOURCE]
    includes = [f"-I{directory}" for directory in native_loop.INCLUDES]
    command = ["g++", *strict, *includes, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_cpp_is_formatted() -> None:
    beside = Path(sys.executable).with_name("clang-format")
    formatter = str(beside) if beside.exists() else shutil.which("clang-format")
    if formatter is None:
        pytest.skip("clang-format is not installed")
    directories = (SOURCE_DIRECTORY, Path(__file__).parent / "cpp")
    files = [str(path) for directory in directories for path in directory.resolve().iterdir() if path.suffix != ".map"]
    done = subprocess.run([formatter, "--dry-run", "-Werror", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
