"""The parts of the RTL benchmark, each a workload with its targets."""

from __future__ import annotations

from collections.abc import Iterator

from rtl_cases import Case, counted_cells, drawn_graphs, measured_cycles, network
from rtl_rows import BELLE, ELABD, HIGTR, OWN, TRACKGNN, RtlRow, cycles_row

from hitfabric.hls_projects.report_figure import SYNTHESISED_YOSYS
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_estimates import RtlEstimate
from hitfabric.quantization import Maxima
from hitfabric.quantization.cost import graph_cost

SPACINGS = (1.0, 2.0, 3.0, 5.0)
PEERS_WORK = "no: the peer's figures include graph and track building"


def sector_rows(case: Case) -> Iterator[RtlRow]:
    """Latency, interval and cells of the sector design."""
    workload = f"pi/4 sectors, sector-in-8, {case.lanes}"
    cycles = measured_cycles("sector-in-8", case.engine(), case.graphs)
    for quantity, value, target in (
        ("latency p95", cycles.latency_p95, 240),
        ("latency p50", cycles.latency_p50, None),
        ("interval p95", cycles.interval_p95, 90),
        ("interval mean", round(cycles.interval_mean, 1), None),
    ):
        sectors = f"{workload}, {cycles.graphs} graphs"
        yield cycles_row(sectors, quantity, value, target, reference=HIGTR, equal=PEERS_WORK)
    _, found, reason = counted_cells("sector-in-8", case.engine(), seconds=case.seconds)
    yield from cell_rows(workload, found, reason, targets={"LUT": 60_000, "DSP": 0}, reference=HIGTR, equal=PEERS_WORK)
    if found is not None:
        for module in found.synthesis.modules:
            yield RtlRow(
                workload=workload,
                quantity=f"LUT of {module.name} ({module.instances} instances)",
                value=module.lut,
                kind=SYNTHESISED_YOSYS,
            )


def cell_rows(
    workload: str,
    found: RtlEstimate | None,
    reason: str,
    *,
    targets: dict[str, float] | None = None,
    reference: str = "",
    equal: str = "",
) -> Iterator[RtlRow]:
    """LUT, FF, memories and DSP of a design, and its frequency."""
    wanted = (
        "LUT",
        "LUT in pairs",
        "LUT as memory",
        "FF",
        "CARRY4",
        "BRAM18",
        "URAM",
        "DSP",
        "logic levels",
        "frequency",
    )
    if found is None:
        yield RtlRow(workload=workload, quantity="LUT", value=None, kind=f"not measured: {reason}")
        return
    for figure in found.figures:
        if figure.name in wanted:
            yield RtlRow(
                workload=workload,
                quantity=figure.name,
                value=figure.value,
                unit=figure.unit,
                kind=figure.kind,
                target=(targets or {}).get(figure.name),
                reference=reference if figure.name in ("LUT", "DSP") else "",
                equal=equal if figure.name in ("LUT", "DSP") else "",
            )


def four_bit_rows(case: Case) -> Iterator[RtlRow]:
    """The 4-bit pruned network beside the 8-bit one: same shape, same lanes, same graphs."""
    for name in ("sector-in-8", "sector-in-4bit"):
        _, found, reason = counted_cells(name, case.engine(), seconds=case.seconds)
        cost = graph_cost(network(name))
        workload = f"{name}, {case.lanes}"
        equal = f"yes: same shape and lanes; {cost.nonzero_weights} weights not 0, {cost.ebops / 1e6:.1f} M EBOPs"
        reference = BELLE if name == "sector-in-4bit" else OWN
        yield from cell_rows(workload, found, reason, targets={"DSP": 0}, reference=reference, equal=equal)
        cycles = measured_cycles(name, case.engine(), case.graphs)
        for quantity, value in (("latency p95", cycles.latency_p95), ("interval p95", cycles.interval_p95)):
            yield cycles_row(workload, quantity, value, equal=equal)


def scatter_rows(case: Case) -> Iterator[RtlRow]:
    """Banked accumulators beside edges ordered by destination."""
    for scatter in ("banked", "ordered"):
        config = case.engine(scatter=scatter)
        workload = f"sector-in-8, {scatter} scatter, {case.lanes}"
        cycles = measured_cycles("sector-in-8", config, case.graphs)
        for quantity, value in (("latency p95", cycles.latency_p95), ("interval p95", cycles.interval_p95)):
            yield cycles_row(workload, quantity, value)
        _, found, reason = counted_cells("sector-in-8", config, seconds=case.seconds)
        yield from cell_rows(workload, found, reason)


def small_rows(case: Case) -> Iterator[RtlRow]:
    """28 nodes and 56 edges, as many lanes as it takes to be within the published latency."""
    config = case.engine(maxima=Maxima(nodes=28, edges=56), edge_lanes=28, node_lanes=16, update_lanes=16)
    cycles = measured_cycles("sector-in-8", config, drawn_graphs(20, nodes=28, edges=56))
    workload = "28 nodes / 56 edges, sector-in-8, 28 edge and 16 node lanes"
    for quantity, value, target in (
        ("latency p95", cycles.latency_p95, 59),
        ("interval p95", cycles.interval_p95, None),
    ):
        equal = "about: 8 wide, 569 parameters beside 528; the peer takes a graph each cycle"
        yield cycles_row(workload, quantity, value, target, reference=ELABD, equal=equal)


def large_rows(case: Case) -> Iterator[RtlRow]:
    """512 nodes and 1024 edges, one layer of width 8."""
    config = case.engine(maxima=Maxima(nodes=512, edges=1024))
    cycles = measured_cycles("sector-in-8", config, drawn_graphs(10, nodes=512, edges=1024))
    yield cycles_row(
        f"512 nodes / 1024 edges, sector-in-8, {case.lanes}",
        "latency p95",
        cycles.latency_p95,
        1829,
        reference=TRACKGNN,
        equal="about: same sizes and width, one round; the peer is measured on the card with its transfers",
    )


def spacing_rows(case: Case) -> Iterator[RtlRow]:
    """Register spacing of a small design (the 4-bit network, one lane): cells, depth and, placed, frequency."""
    for spacing in SPACINGS:
        config = RtlConfig(maxima=Maxima(nodes=128, edges=256), edge_lanes=1, node_lanes=1, register_spacing=spacing)
        seeds = (1, 2, 3) if case.place else ()
        project, found, reason = counted_cells("sector-in-4bit", config, seconds=case.seconds, seeds=seeds)
        workload = f"sector-in-4bit, 1 lane, 128 nodes / 256 edges, spacing {spacing:g}"
        yield from cell_rows(workload, found, reason)
        depth = sum(item.latency for item in project.passes)
        yield RtlRow(workload=workload, quantity="pipeline depth", value=depth, unit="cycles", kind="counted")
        if found is not None and found.placement is not None:
            values = found.placement.frequencies.values()
            if values:
                spread = f"placed (ECP5), {len(values)} seeds: {min(values):g} to {max(values):g} MHz"
                yield RtlRow(
                    workload=workload,
                    quantity="frequency spread",
                    value=max(values) - min(values),
                    unit="MHz",
                    kind=spread,
                )
            else:
                yield RtlRow(workload=workload, quantity="frequency", value=None, kind=found.placement.reason)
