"""Figures of a project known before any tool of the vendor has run: counted, or estimated by a stated formula.

Formulas, with P lanes, R the reuse factor and N, E the maxima:

* `LUT + 55 DSP`: the effective bit operations of the multiplications that exist at once: over the Dense nodes, the sum
  of EBOPs per row times rows at once over R. Sun et al., HGQ, arXiv:2405.00645, section III.C, found LUT + 55 DSP close
  to EBOPs after place and route, for fully unrolled networks. Rows at once: 1 for a network of rows, P in the dataflow
  design, all N or E in the throughput design. Constant weights only: the Resource strategy has no such figure.
* `multipliers`: weights that are not 0 times rows at once over R; with the Resource strategy all weights.
* `memory bits`: declared memories of the dataflow design, twice each, for they are ping-pong buffers between graphs. A
  gather keeps 2 P copies of its nodes; an aggregate 4 P banks of its sums.
* `BRAM18`: those memories in blocks of 18 kbit, each in the shape of block that needs the fewest. The tools put small
  memories into LUTs instead.
* `FIFO bits`: declared depth times packet of every stream between layers.
* `latency max`, `interval max`: cycles that the kernels' pragmas ask for, of a graph of maximal size (schedule.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction

from ..core import GraphError
from ..quantization import Dense, EdgeAggregate, EdgeGather, Node
from ..quantization.cost import graph_cost
from .project import HlsProject
from .report_figure import COUNTED, ESTIMATED, Kind, ReportFigure
from .schedule import PHASES, expected_cycles
from .streams import project_streams

DSP_WEIGHT = 55
BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
PACKET = re.compile(r"typedef nnet::array<ap_u?(?:fixed|int)<(\d+)[^>]*>, ([\d*]+)> (\w+);")


def estimate(project: HlsProject) -> tuple[ReportFigure, ...]:
    """What is known of a project without the vendor's tools.

    Args:
        project: The project.

    Returns:
        Counted and estimated figures; `source` of each says from what.

    Raises:
        GraphError: The project's sources are not what hitfabric writes.
    """
    return (*_counted(project), *_logic(project), *_memory(project), *_cycles(project))


def bram18_blocks(*, width: int, depth: int) -> int:
    """Blocks of 18 kbit for a memory of `depth` words of `width` bits, in the best shape of block."""
    return min(math.ceil(width / bits) * math.ceil(depth / words) for words, bits in BRAM18_SHAPES)


def rows_at_once(project: HlsProject, node: Node) -> int:
    """Rows of a node that the hardware works on at once: its copies of the node's arithmetic, before reuse."""
    if not project.graph.is_graph_network:
        return 1
    if project.config.design == "dataflow":
        return project.config.parallelism
    sizes = {"N": project.graph.maxima.nodes, "E": project.graph.maxima.edges}
    return sizes.get(str(node.tensor.shape[0]), 1)


def _counted(project: HlsProject) -> Iterator[ReportFigure]:
    cost = graph_cost(project.graph)
    per = "at maxima" if project.graph.is_graph_network else "per row"
    source = "the typed graph"
    yield _figure(f"MACs {per}", cost.macs, source)
    yield _figure(f"BOPs {per}", round(cost.bops), source)
    yield _figure(f"EBOPs {per}", cost.ebops, source)
    yield _figure("weights", cost.weights, source)
    yield _figure("weights not 0", cost.nonzero_weights, source)
    yield _figure("weight bits", cost.weight_bits, source, unit="bit")


def _logic(project: HlsProject) -> Iterator[ReportFigure]:
    cost, config = graph_cost(project.graph), project.config
    multipliers, bit_operations = 0, Fraction(0)
    for node in project.graph.nodes:
        if isinstance(node, Dense):
            share = Fraction(rows_at_once(project, node), config.reuse_factor)
            weights = cost[node.name].nonzero_weights if config.strategy == "Latency" else cost[node.name].weights
            multipliers += math.ceil(weights * share)
            bit_operations += cost[node.name].ebops * share
    yield _figure("multipliers", multipliers, "weights x rows at once / reuse factor", kind=ESTIMATED)
    if config.strategy == "Latency":
        name = f"LUT + {DSP_WEIGHT} DSP"
        yield _figure(
            name, math.ceil(bit_operations), "EBOPs of the multiplications that exist at once", kind=ESTIMATED
        )


def _memory(project: HlsProject) -> Iterator[ReportFigure]:
    if project.config.backend == "Quartus":
        return  # its kernels keep other memories
    memories = list(_memories(project)) if project.config.design == "dataflow" else []
    bits = sum(2 * copies * width * depth for copies, width, depth in memories)
    blocks = sum(2 * copies * bram18_blocks(width=width, depth=depth) for copies, width, depth in memories)
    yield _figure("memory bits", bits, "ping-pong memories of gathers and aggregates", unit="bit", kind=ESTIMATED)
    yield _figure("BRAM18", blocks, "those memories, all of them in block RAM", kind=ESTIMATED)
    if project.config.design == "dataflow":
        yield _figure("FIFO bits", _fifo_bits(project), "declared depths x packets", unit="bit")


def _cycles(project: HlsProject) -> Iterator[ReportFigure]:
    if project.config.backend == "Quartus":
        return  # the schedule is of the kernels of the AMD backends
    schedule = expected_cycles(project.graph, project.config)
    source = "the kernels' pragmas, at maxima" if project.graph.is_graph_network else "the kernels' pragmas"
    yield _figure("latency max", schedule.latency, source, unit="cycles", kind=ESTIMATED)
    yield _figure("interval max", schedule.interval, source, unit="cycles", kind=ESTIMATED)


def _memories(project: HlsProject) -> Iterator[tuple[int, int, int]]:
    """Copies, width and depth of each memory."""
    graph, lanes = project.graph, project.config.parallelism
    depth = math.ceil(graph.maxima.nodes / lanes)
    for node in graph.nodes:
        if isinstance(node, EdgeGather):
            source = graph[node.inputs[0]].tensor
            yield 2 * lanes, lanes * source.width * source.format.width, depth
        elif isinstance(node, EdgeAggregate):
            yield PHASES * lanes, lanes * node.tensor.width * node.tensor.format.width, depth


def _fifo_bits(project: HlsProject) -> int:
    defines = (project.directory / "firmware" / "defines.h").read_text(encoding="utf-8")
    packets = {
        name: int(width) * math.prod(map(int, sizes.split("*"))) for width, sizes, name in PACKET.findall(defines)
    }
    bits = 0
    for stream in project_streams(project):
        packet = re.search(r"<(\w+)>", stream.kind)
        if packet is None or packet[1] not in packets:
            raise GraphError(
                f"{project.name}: stream {stream.name} has a packet of unknown width ({stream.kind})",
                remedy="write the project again with hitfabric build",
            )
        bits += stream.depth * packets[packet[1]]
    return bits


def _figure(name: str, value: float, source: str, *, unit: str = "", kind: Kind = COUNTED) -> ReportFigure:
    return ReportFigure(name=name, value=float(value), unit=unit, kind=kind, source=source)
