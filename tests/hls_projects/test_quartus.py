"""Quartus projects: what ac_fixed computes, what is kept away from it, and what the project's sources say."""

from __future__ import annotations

import ctypes
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitfabric.hls_projects import HlsProject, ProjectConfig, write_project
from hitfabric.hls_projects.extension import KERNELS
from hitfabric.hls_projects.quartus import loses_carry, signed_accumulators
from hitfabric.quantization import FixedPoint, Maxima
from support.hand_graph import hand_graph
from support.message_passing import rounds_network

CONVERSIONS = 60
Integers = NDArray[np.int64]

BENCH = """#include <cstdint>
#include "ac_fixed.h"

template <class A, class B> void convert(const int64_t *from, int64_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        A source;
        source.set_slc(0, ac_int<A::width, A::sign>(from[i]));
        B target = source;
        to[i] = ac_int<B::width, B::sign>(target.template slc<B::width>(0)).to_int64();
    }
}
template <class B> void enter(const double *from, int64_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        B target(from[i]);
        to[i] = ac_int<B::width, B::sign>(target.template slc<B::width>(0)).to_int64();
    }
}
"""


def ac_type(form: FixedPoint) -> str:
    words = form.width, form.integer, str(form.signed).lower(), f"AC_{form.rounding}", f"AC_{form.overflow}"
    return f"ac_fixed<{','.join(map(str, words))}>"


def drawn_conversions() -> list[tuple[FixedPoint, FixedPoint]]:
    """Pairs of formats: widths around the words of ac_fixed, all modes, shifts beyond both widths."""
    generator = random.Random(3)
    pairs = []
    for _ in range(CONVERSIONS):
        width, signed = generator.choice([2, 3, 5, 8, 12, 16, 31, 32, 33, 34, 52]), generator.random() < 0.5
        source = FixedPoint(signed=signed, width=width, integer=generator.randint(-4, width + 3), overflow="WRAP")
        shift = generator.choice([0, -1, 1, 2, 3, 5, 8, width - 1, width, width + 1, width + 2, 40, -20])
        width, signed = generator.choice([2, 3, 4, 8, 16, 17, 31, 32, 33, 53]), generator.random() < 0.5
        target = FixedPoint(
            signed=signed,
            width=width,
            integer=width - source.fraction + shift,
            rounding=generator.choice(["TRN", "RND_CONV"]),
            overflow=generator.choice(["SAT", "SAT_SYM", "WRAP"] if signed else ["SAT", "WRAP"]),
        )
        pairs.append((source, target))
    carry = FixedPoint(signed=False, width=34, integer=34, overflow="WRAP")
    pairs.append((carry, FixedPoint(signed=False, width=8, integer=10, rounding="RND_CONV")))
    return pairs


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    hls4ml = pytest.importorskip("hls4ml")
    types = Path(hls4ml.__file__).parent / "templates" / "quartus" / "ac_types"
    folder = tmp_path_factory.mktemp("conversions")
    source = BENCH
    for number, (a, b) in enumerate(drawn_conversions()):
        arguments = "const {0} *from, int64_t *to, int64_t count"
        source += f'extern "C" void convert{number}({arguments.format("int64_t")})'
        source += f" {{ convert<{ac_type(a)}, {ac_type(b)}>(from, to, count); }}\n"
        source += f'extern "C" void enter{number}({arguments.format("double")})'
        source += f" {{ enter<{ac_type(b)}>(from, to, count); }}\n"
    (folder / "bench.cpp").write_text(source)
    command = ["g++", "-O1", "-w", "-std=c++17", "-fPIC", "-shared", f"-I{types}", "bench.cpp", "-o", "bench.so"]
    subprocess.run(command, check=True, cwd=folder)
    return ctypes.CDLL(str(folder / "bench.so"))


def integers(form: FixedPoint) -> Integers:
    """All integers of a narrow format; of a wide one its ends, powers of two and their neighbours, and random ones."""
    if form.width <= 12:
        return np.arange(form.low, form.high + 1)
    powers = [sign * 2**k + step for k in range(form.width) for sign in (1, -1) for step in (-1, 0, 1)]
    inside = [value for value in (*powers, form.low, form.high) if form.low <= value <= form.high]
    generator = np.random.default_rng(0)
    return np.concatenate([inside, generator.integers(form.low, form.high + 1, 2000)]).astype(np.int64)


def run(function: Callable[..., object], values: NDArray[np.generic]) -> Integers:
    found = np.zeros(len(values), dtype=np.int64)
    values = np.ascontiguousarray(values)
    function(ctypes.c_void_p(values.ctypes.data), ctypes.c_void_p(found.ctypes.data), ctypes.c_int64(len(values)))
    return found


def exact(value: int, source: FixedPoint, target: FixedPoint) -> int:
    """The conversion in Python's unbounded integers."""
    shift = source.fraction - target.fraction
    if shift <= 0:
        result = value << -shift
    else:
        result, rest = value >> shift, value & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        result += target.rounding == "RND_CONV" and (rest > half or (rest == half and result % 2 == 1))
    if target.overflow == "WRAP":
        return (result - target.low) % (1 << target.width) + target.low
    return min(max(result, target.low), target.high)


@pytest.mark.parametrize("number", range(CONVERSIONS + 1))
def test_ac_fixed_converts_as_the_typed_graph_does(bench: ctypes.CDLL, number: int) -> None:
    source, target = drawn_conversions()[number]
    values = integers(source)
    expected = np.array([exact(value, source, target) for value in values.tolist()])
    wrong = values[run(getattr(bench, f"convert{number}"), values) != expected]
    may_lose = not source.signed and loses_carry(width=source.width, fraction=source.fraction, target=target)
    assert may_lose or len(wrong) == 0
    if number == CONVERSIONS:  # the defect is there: without it the checks against it could go
        assert may_lose
        assert wrong.min() >= source.high - 1


@pytest.mark.parametrize("number", range(CONVERSIONS))
def test_ac_fixed_takes_doubles_as_the_typed_graph_does(bench: ctypes.CDLL, number: int) -> None:
    _, target = drawn_conversions()[number]
    if target.overflow == "WRAP":
        return  # inputs saturate
    generator = np.random.default_rng(number)
    inside = generator.integers(target.low, target.high + 1, 400) + generator.choice([0, 0.25, 0.5, 0.75], 400)
    beyond = generator.uniform(1.5 * target.low - 2, 1.5 * target.high + 2, 400)
    ends = [0.0, -0.0, 1e-45, -1e-45, 1e9, -1e9, 1e19, -1e19, 3.4e38, -3.4e38]
    values = np.concatenate([inside * target.scale, beyond * target.scale, ends])
    assert np.array_equal(run(getattr(bench, f"enter{number}"), values), target.quantize(values))


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> HlsProject:
    folder = tmp_path_factory.mktemp("project") / "hand"
    return write_project(hand_graph(), folder, config=ProjectConfig(backend="Quartus"))


def test_what_a_project_holds(streams: HlsProject) -> None:
    present = {path.name for path in streams.directory.iterdir()}
    assert {"Makefile", "csim_entry.cpp", "firmware", "hitfabric_hand_test.cpp", "project.json"} <= present
    assert not {"build_lib.sh", "hitfabric_hand_bridge.cpp"} & present
    assert HlsProject.load(streams.directory).config == streams.config
    assert (streams.config.part, streams.config.strategy) == ("Arria10", "Resource")
    defines = (streams.directory / "firmware" / "defines.h").read_text()
    assert "ac_fixed<16,6,true>" not in defines  # hls4ml's default
    assert re.search(r"ac_fixed<4,4,false,AC_TRN,AC_SAT>", defines)


def test_each_trace_shows_its_own_layer(streams: HlsProject) -> None:
    """hls4ml 1.3.0 shows the last layer's stream in all of them."""
    source = (streams.directory / "firmware" / "hitfabric_hand.cpp").read_text()
    traces = re.findall(r'save_layer_output<\w+>\((\w+), "(\w+)", \d+\)', source)
    assert [layer for _, layer in traces] == ["difference", "total"]
    assert len({variable for variable, _ in traces}) == 2


def test_a_project_depends_neither_on_its_folder_nor_on_when_it_was_written(
    streams: HlsProject, tmp_path: Path
) -> None:
    again = write_project(hand_graph(), tmp_path / "again", config=ProjectConfig(backend="Quartus"))
    for path in (streams.directory / "firmware").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again.directory / path.relative_to(streams.directory)).read_bytes(), path
    assert str(streams.directory.parent) not in (streams.directory / "hls4ml_config.yml").read_text()


def test_accumulators_are_signed_but_for_planted_faults() -> None:
    from hitfabric.hls_projects.layers import plan_layers

    graph = rounds_network(1, maxima=Maxima(nodes=3, edges=4), residual=False)
    plan = plan_layers(graph, config=ProjectConfig(backend="Quartus").resolved(graph))
    plan.precisions["message0"]["accum"] = plan.precisions["update0"]["accum"] = "ap_ufixed<9,-2,AP_TRN,AP_WRAP>"
    signed = signed_accumulators(plan, keep={"update0"}).precisions
    assert signed["message0"]["accum"] == "ap_fixed<10,-1,AP_TRN,AP_WRAP>"
    assert signed["update0"]["accum"] == "ap_ufixed<9,-2,AP_TRN,AP_WRAP>"
    assert signed["message0"]["result"] == plan.precisions["message0"]["result"]


def test_kernels_hold_nothing_that_synthesis_refuses() -> None:
    text = (KERNELS / "quartus" / "nnet_edge.h").read_text()
    code = "\n".join(line.split("//")[0] for line in text.splitlines())
    for refused in ("new ", "malloc", "std::", "while", "ivdep", "ap_fixed", "HLS "):
        assert refused not in code
    assert code.count("#pragma ii") == 6
