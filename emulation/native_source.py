"""C++ of the native executor, generated from a typed graph."""

from __future__ import annotations

from collections.abc import Iterable

from ..quantization import (
    Add,
    Concat,
    Dense,
    EdgeAggregate,
    EdgeGather,
    FixedPoint,
    Input,
    Node,
    Output,
    Requantize,
    TypedGraph,
)
from .native_plan import Plan, Segment, dense_shifts, is_feature, value_type

SIZES = {"R": "call.rows", "N": "call.nodes", "E": "call.edges"}


def native_source(graph: TypedGraph, plan: Plan) -> str:
    """Generate the translation unit of a graph.

    Args:
        graph: The network.
        plan: Its plan.

    Returns:
        C++17 source exporting `hitfabric_run`; see `FOOTER` for its contract.

    """
    writer = _Writer(graph, plan)
    parts = [HEADER]
    parts.extend(writer.constants())
    parts.append(writer.call_structure())
    parts.extend(writer.segment(number, segment) for number, segment in enumerate(plan.segments))
    parts.append("}  // namespace\n")
    parts.append(writer.entry())
    return "\n".join(parts)


class _Writer:
    def __init__(self, graph: TypedGraph, plan: Plan) -> None:
        self.graph = graph
        self.plan = plan
        self.types = {node.name: value_type(graph, node) for node in graph.nodes if not node.tensor.is_index}
        self.inputs = {node.name: number for number, node in enumerate(graph.inputs)}
        self.outputs = {node.name: number for number, node in enumerate(graph.outputs)}
        self.taps = {node.name: number for number, node in enumerate(graph.visible)}

    def constants(self) -> Iterable[str]:
        for node in self.graph.nodes:
            if isinstance(node, Dense):
                kind = self.types[node.name]
                shift, bias_shift = dense_shifts(self.graph, node)
                bias = node.bias if node.bias is not None else [0] * node.tensor.width
                yield _array(kind, f"{node.name}_weight", (int(w) << shift for w in node.weight.ravel()))
                yield _array(kind, f"{node.name}_bias", (int(b) << bias_shift for b in bias))

    def call_structure(self) -> str:
        members = [f"  std::vector<{self.types[name]}> t_{name};" for name in sorted(self.plan.stored)]
        return "\n".join(
            [
                "struct Call {",
                "  std::int64_t rows, nodes, edges;",
                "  const void* const* inputs;",
                "  float* const* outputs;",
                "  std::int64_t* const* taps;",
                *members,
                "};\n",
            ]
        )

    def segment(self, number: int, segment: Segment) -> str:
        if segment.is_aggregate:
            return self._aggregate(number, segment.nodes[0])
        lines = [f"void segment_{number}(Call& call, std::int64_t start, int count) {{"]
        own = {node.name for node in segment.nodes}
        loaded: set[str] = set()
        for node in segment.nodes:
            for source in node.inputs:
                outside = source not in own and source not in loaded and not self.graph[source].tensor.is_index
                if outside and not isinstance(node, EdgeGather):
                    loaded.add(source)
                    lines += self._load(source)
            lines += self._operation(node)
            lines += self._stores(node)
        return "\n".join([*lines, "}\n"])

    def entry(self) -> str:
        tensors = [self.graph[name] for name in sorted(self.plan.stored)]
        prepare = [
            f"    call.t_{node.name}.resize({SIZES[str(node.tensor.shape[0])]} * {node.tensor.width});"
            for node in tensors
        ]
        passes: list[str] = []
        for number, segment in enumerate(self.plan.segments):
            if segment.is_aggregate:
                passes.append(f"    segment_{number}(call);")
                continue
            passes += [
                "    {",
                f"      const std::int64_t size = {SIZES[segment.dimension]};",
                "      const std::int64_t blocks = (size + kLanes - 1) / kLanes;",
                "#pragma omp parallel for schedule(static) num_threads(threads) if (blocks > 64)",
                "      for (std::int64_t block = 0; block < blocks; ++block) {",
                "        const std::int64_t start = block * kLanes;",
                "        const auto count = static_cast<int>(size - start < kLanes ? size - start : kLanes);",
                f"        segment_{number}(call, start, count);",
                "      }",
                "    }",
            ]
        return FOOTER.replace("@PREPARE@", "\n".join(prepare)).replace("@PASSES@", "\n".join(passes))

    def _declare(self, name: str) -> str:
        return f"  {self.types[name]} t_{name}[{self.graph[name].tensor.width}][kLanes];"

    def _load(self, name: str) -> list[str]:
        width = self.graph[name].tensor.width
        return [self._declare(name), f"  load_rows(call.t_{name}.data() + start * {width}, count, t_{name});"]

    def _operation(self, node: Node) -> list[str]:
        if isinstance(node, Output):
            return []
        kind, name = self.types[node.name], node.name
        lines = [self._declare(name)]
        match node:
            case Input() if is_feature(node):
                form = node.tensor.format
                rows = f"static_cast<const float*>(call.inputs[{self.inputs[name]}]) + start * {node.tensor.width}"
                limits = f"{_number(kind, form.low)}, {_number(kind, form.high)}"
                lines.append(
                    f"  load_features<{_rounding(form)}>({rows}, count, {2.0**form.fraction!r}, {limits}, t_{name});"
                )
            case Dense():
                lines.append(f"  dense<{kind}>(t_{node.inputs[0]}, {name}_weight, {name}_bias, t_{name});")
            case Requantize():
                source, form = node.inputs[0], node.tensor.format
                scale = 2.0 ** (form.fraction - self.graph[source].tensor.format.fraction)
                limits = f"{_number(kind, form.low)}, {_number(kind, form.high)}"
                typed = f"{self.types[source]}({scale!r})"
                lines.append(f"  requantize<{_rounding(form)}>(t_{source}, {typed}, {limits}, t_{name});")
            case Concat():
                at = 0
                for source in node.inputs:
                    lines.append(f"  place(t_{source}, {kind}({self._finer(node, source)}), {at}, t_{name});")
                    at += self.graph[source].tensor.width
            case Add():
                left, right = node.inputs
                scales = [f"{kind}({self._finer(node, source)})" for source in node.inputs]
                lines.append(f"  add(t_{left}, {scales[0]}, t_{right}, {scales[1]}, t_{name});")
            case EdgeGather():
                source, index = node.inputs
                table = f"call.t_{source}.data(), call.nodes, {self._index(index)} + 2 * start"
                lines.append(f"  gather<{self.graph[source].tensor.width}>({table}, count, t_{name});")
        return lines

    def _stores(self, node: Node) -> list[str]:
        source = node.inputs[0] if isinstance(node, Output) else node.name
        width, lines = node.tensor.width, []
        if node.name in self.plan.stored:
            lines.append(f"  store_rows(t_{source}, count, call.t_{node.name}.data() + start * {width});")
        if node.name in self.outputs:
            target = f"call.outputs[{self.outputs[node.name]}]"
            scale = f"{2.0**-node.tensor.format.fraction!r}"
            lines.append(f"  if ({target}) store_floats(t_{source}, count, {scale}, {target} + start * {width});")
        if node.name in self.taps:
            target = f"call.taps[{self.taps[node.name]}]"
            lines.append(f"  if ({target}) store_integers(t_{source}, count, {target} + start * {width});")
        return lines

    def _aggregate(self, number: int, node: Node) -> str:
        assert isinstance(node, EdgeAggregate)
        source, index = node.inputs
        kernel = f"aggregate<{'true' if node.mode == 'max' else 'false'}, {node.tensor.width}>"
        sizes = "call.edges, call.nodes"
        arguments = f"call.t_{source}.data(), {self._index(index)}, {node.column}, {sizes}, call.t_{node.name}.data()"
        return f"void segment_{number}(Call& call) {{\n  {kernel}({arguments});\n}}\n"

    def _index(self, name: str) -> str:
        return f"static_cast<const std::int64_t*>(call.inputs[{self.inputs[name]}])"

    def _finer(self, node: Node, source: str) -> str:
        return repr(2.0 ** (node.tensor.format.fraction - self.graph[source].tensor.format.fraction))


def _rounding(form: FixedPoint) -> str:
    return "Rounding::kFloor" if form.rounding == "TRN" else "Rounding::kHalfEven"


def _number(kind: str, value: int) -> str:
    return f"{kind}({value})"


def _array(kind: str, name: str, values: Iterable[int]) -> str:
    body = ", ".join(str(value) for value in values)
    return f"alignas(64) constexpr {kind} {name}[] = {{{body}}};\n"


HEADER = """\
#include <exception>
#include <vector>

#include "native_kernels.h"

namespace {

using namespace hitfabric;
"""

FOOTER = """\
// Computes the graph. sizes: rows, nodes, edges. inputs: float32 row-major features or int64 edge_index [E, 2], in the
// order of the graph's inputs. outputs, taps: float32 and int64 arrays in the order of outputs and visible nodes;
// a null entry is not written. Returns 0, or 1 when memory runs out.
extern "C" int hitfabric_run(const std::int64_t* sizes, const void* const* inputs, float* const* outputs,
                             std::int64_t* const* taps, int threads) {
  try {
    Call call{};
    call.rows = sizes[0];
    call.nodes = sizes[1];
    call.edges = sizes[2];
    call.inputs = inputs;
    call.outputs = outputs;
    call.taps = taps;
    (void)threads;
@PREPARE@
@PASSES@
  } catch (const std::exception&) {
    return 1;
  }
  return 0;
}
"""
