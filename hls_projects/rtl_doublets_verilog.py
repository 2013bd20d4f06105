"""Verilog of the doublet builder: the tables and constants that follow from its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core import atomic_file
from .rtl_doublets import ANGLE_BITS, SLOPE_BITS, DoubletsConfig, eta_table, log2_table

TOP = "doublet_builder"
SOURCES = tuple(
    Path(__file__).parent / "rtl" / f"doublet_{part}.v" for part in ("builder", "hit", "search", "cuts", "lane", "pack")
)
"""Verilog of `TOP` besides the tables; its head describes the streams."""


def parameters(config: DoubletsConfig) -> Mapping[str, int]:
    """Parameters of the module `doublet_builder`."""
    lane_bits = config.lanes.bit_length() - 1
    return {
        "LANES": config.lanes,
        "LANE_BITS": lane_bits,
        "ROW_BITS": config.max_nodes.bit_length() - 1 - lane_bits,
        "GROUP_BITS": config.sender_rows.bit_length() - 1,
        "MAX_EDGES": config.max_edges,
        "DEPTH_BITS": config.max_edges.bit_length() - 1 - lane_bits,
        "LAYERS": config.layers,
        "LAYER_BITS": layer_bits(config),
        "R_BITS": config.r_bits,
        "ANGLE_BITS": ANGLE_BITS,
        "SLOPE": config.slope,
        "SLOPE_BITS": SLOPE_BITS,
        "Z0": config.z0,
        "FIFO_BITS": config.fifo_bits,
    }


def layer_bits(config: DoubletsConfig) -> int:
    """Bits of a layer number within the module, with one number to spare."""
    return config.layers.bit_length()


def write_doublets(config: DoubletsConfig, directory: Path) -> tuple[Path, ...]:
    """Write the tables of a configuration.

    Args:
        config: Cuts and sizes.
        directory: Where their files go; created if missing.

    Returns:
        All Verilog sources of `doublet_builder`, which takes `parameters(config)`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    modules = {
        "doublet_successors": _successors(config),
        "doublet_cylinder": _cylinder(config),
        "doublet_log2": _table("doublet_log2", "mantissa", 8, "fraction", 10, log2_table().tolist()),
        "doublet_eta": _table("doublet_eta", "entry", 10, "eta", 15, eta_table().tolist()),
    }
    paths = {name: directory / f"{name}.v" for name in modules}
    for name, text in modules.items():
        with atomic_file(paths[name]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return (*SOURCES, *paths.values())


def _table(name: str, key: str, key_bits: int, value: str, bits: int, entries: Sequence[int]) -> str:
    lines = [f"            {key_bits}'d{n}: {value} = {bits}'d{entry};" for n, entry in enumerate(entries)]
    body = "\n".join([*lines, f"            default: {value} = {bits}'d0;"])
    return f"""module {name} (
    input  wire [{key_bits - 1}:0] {key},
    output reg  [{bits - 1}:0] {value}
);
    always @*
        case ({key})
{body}
        endcase
endmodule
"""


def _successors(config: DoubletsConfig) -> str:
    """Module that gives the layers that a layer is joined to, one bit each."""
    masks = [sum(1 << pair.outer for pair in config.pairs if pair.inner == n) for n in range(config.layers)]
    return "// Layers that a layer is joined to.\n" + _table(
        "doublet_successors", "layer", layer_bits(config), "outer", config.layers, masks
    )


def _cylinder(config: DoubletsConfig) -> str:
    """Module that multiplies by the constants of the cylinder between two layers, if there is one."""
    bits = layer_bits(config)
    blocks = sorted({(pair.radius, pair.half_length) for pair in config.pairs if pair.radius})
    chosen, radii, lengths = [], ["40'sd0"], ["40'sd0"]
    for number, (radius, half_length) in enumerate(blocks):
        joined = [pair for pair in config.pairs if (pair.radius, pair.half_length) == (radius, half_length)]
        pairs = " || ".join(f"(inner == {bits}'d{pair.inner} && outer == {bits}'d{pair.outer})" for pair in joined)
        chosen.append(f"    wire chosen{number} = {pairs};")
        radii.insert(0, f"chosen{number} ? dz * 40'sd{radius} : ")
        lengths.insert(0, f"chosen{number} ? step * 40'sd{half_length} : ")
    used = " || ".join(f"chosen{number}" for number in range(len(blocks))) or "1'b0"
    return "\n".join(
        [
            "// Products with the radius and half length of the cylinder between two layers.",
            "module doublet_cylinder (",
            "    /* verilator lint_off UNUSEDSIGNAL */",
            f"    input  wire [{bits - 1}:0] inner,",
            f"    input  wire [{bits - 1}:0] outer,",
            "    input  wire signed [39:0] dz,",
            "    input  wire signed [39:0] step,",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "    output wire used,",
            "    output wire signed [39:0] radius_dz,",
            "    output wire signed [39:0] length_step",
            ");",
            *chosen,
            f"    assign used = {used};",
            f"    assign radius_dz = {''.join(radii)};",
            f"    assign length_step = {''.join(lengths)};",
            "endmodule",
            "",
        ]
    )
