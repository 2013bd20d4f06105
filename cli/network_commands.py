"""The commands `describe`, `export` and `import`: a network looked at, and carried to and from other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson
from .printing import print_json, print_pairs, print_table, print_warning

NetworkName = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="Name of a shipped network (embedding, filter, interaction_network, sector-in-8) or chain (event-pixel),"
        " or a directory: typed graph, project, chain, or --out of hitfabric train or build.",
        show_default=False,
    ),
]
COLUMNS = ("node", "kind", "shape", "type", "range", "MACs", "BOPs", "EBOPs")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("describe")(describe)
    app.command("export")(export)
    app.command("import")(import_)


def describe(
    network: NetworkName,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also draw it, with Graphviz.", show_default=False)
    ] = None,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=0, help="Count costs for so many nodes. Default: the maximum.")
    ] = None,
    edges: Annotated[
        int | None, typer.Option("--edges", min=0, help="Count costs for so many edges. Default: the maximum.")
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="Count costs of networks of rows for so many rows.", show_default=True)
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Print a network node by node: type, exact range, and cost.

    MACs are multiplications; BOPs and EBOPs count the bits in them (docs/typed_graph.md has the formulas). Ranges are
    the values that can occur, derived from the inputs' formats and the weights.
    """
    from ..pipeline.describe import DescribeConfig, describe_networks
    from ..quantization.drawing import kind_text, range_text, shape_text

    config = DescribeConfig(network=network, svg=svg, nodes=nodes, edges=edges, rows=rows)
    described = describe_networks(config)
    if as_json:
        print_json({item.name: item.as_json() for item in described})
        return
    for item in described:
        table: list[tuple[object, ...]] = []
        for node in item.graph.nodes:
            cost = item.cost[node.name]
            counts = (cost.total_macs, round(cost.total_bops), cost.total_ebops) if cost.macs else (None, None, None)
            tensor = node.tensor
            places = (kind_text(node), shape_text(tensor), tensor.format.ap_type.replace("AP_", ""), range_text(tensor))
            table.append((node.name, *places, *counts))
        table.append(("total", "", "", "", "", item.cost.macs, round(item.cost.bops), item.cost.ebops))
        print_table(f"{item.name} ({item.sizes})", COLUMNS, table, whole=True)
    if svg is not None:
        typer.echo(f"drawn in {svg}")


def export(
    network: NetworkName,
    qonnx: Annotated[Path, typer.Option("--qonnx", metavar="FILE", help="QONNX file to write.", show_default=False)],
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of the model's inputs and outputs.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Write a network of rows as QONNX, for other tools.

    Types, rounding and saturation are in its Quant nodes, so that qonnx and hls4ml's own QONNX route give the same
    bits. Networks with edges are refused: QONNX tools have no gather and scatter.
    """
    from ..pipeline.interchange import ExportConfig, export_network

    done = export_network(ExportConfig(network=network, qonnx=qonnx, rows=rows))
    if done.inexact:
        print_warning(f"tools that compute in float32 may round the sums of {', '.join(done.inexact)}")
    figures = {"network": done.name, "file": str(done.file), "rows": rows, "inexact_in_float32": list(done.inexact)}
    if as_json:
        print_json(figures)
    else:
        print_pairs("exported", {**figures, "inexact_in_float32": ", ".join(done.inexact) or "none"})


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="QONNX file of a network of rows.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Typed graph directory to write.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the network. Default: the file's name.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read a QONNX perceptron of any tool as a typed graph.

    Takes Quant (power-of-two scale, zero point 0), MatMul, Gemm, Add, Relu and Concat, as Brevitas exports them;
    anything else is refused by the name of its node. The directory written works wherever a NETWORK does: describe,
    validate, export.
    """
    from ..pipeline.interchange import ImportConfig, import_network

    done = import_network(ImportConfig(file=file, out=out, name=name))
    figures: dict[str, object] = {
        "network": done.graph.name,
        "nodes": len(done.graph.nodes),
        "MACs per row": done.cost.macs,
        "weights": done.cost.weights,
        "inputs": ", ".join(f"{node.name} [R, {node.tensor.width}]" for node in done.graph.inputs),
        "outputs": ", ".join(f"{node.name} [R, {node.tensor.width}]" for node in done.graph.outputs),
        "folder": str(done.directory),
    }
    print_json(figures) if as_json else print_pairs("imported", figures)
