"""Model cards: the figures in `README.md` of every shipped network are counted and measured, not typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core import GraphError
from ..fpga_backend import NETWORKS
from ..quantization import TypedGraph
from ..reports.figures_comparison import NAMES
from .evaluate_all import AllResult
from .evaluate_all_costs import network_cost
from .evaluate_all_rows import COLUMNS, Row
from .float_chain import FLOAT
from .generated_blocks import markdown_table, replace_blocks, write_page
from .networks import GRAPH_FILE

CARD = "README.md"
COST, ACCURACY = "cost", "accuracy"
WEIGHTS = "weights.npz"
PER = {"embedding": "hit", "filter": "candidate edge"}


def cost_block(directory: Path) -> str:
    """Parameters, bits, MACs, BOPs and EBOPs of what a folder of the zoo holds, as a table.

    Args:
        directory: A network, a chain, or a folder with float references alone.

    Raises:
        GraphError: It holds none of these, or a typed graph is malformed.
    """
    networks = [name for name in ("", *NETWORKS) if (directory / name / GRAPH_FILE).is_file()]
    references = [name for name in ("", *NETWORKS) if (directory / FLOAT / name / WEIGHTS).is_file()]
    if networks:
        columns = ("network", "parameters", "weights not 0", "bits (input / weight / activation)", "MACs", "BOPs")
        rows = [_cost_row(directory / name, name) for name in networks]
        return markdown_table((*columns, "EBOPs", "for one"), rows)
    if references:
        counted = [(name or "interaction network", f"{_size(directory / FLOAT / name):,}") for name in references]
        return markdown_table(("float32 network", "parameters"), counted)
    raise GraphError(f"{directory} holds no network", remedy="give a folder of the zoo")


def accuracy_block(rows: Sequence[Row], *, about: str) -> str:
    """What the evaluation found for one entry of the zoo.

    Args:
        rows: Its rows of the table.
        about: What the validation split is.
    """
    lines = []
    for row in rows:
        for name, cells in (("validation", row.validation), ("test, fresh seed", row.test)):
            found = [str(cells[column]) for column in COLUMNS]
            lines.append((row.measure, name, *found))
    table = markdown_table(("figure", "sample", *(NAMES[column] for column in COLUMNS)), lines)
    return f"Validation on {about}; errors are one standard deviation.\n\n{table}"


def write_cards(result: AllResult) -> list[str]:
    """Bring the generated blocks of the cards up to date; the text around them stays.

    Args:
        result: The evaluation.

    Returns:
        Names of the cards written. A recipe whose network is not there yet has none.

    Raises:
        DataError: The marks of a block are repeated or in the wrong order.
    """
    written = []
    for directory in sorted(path for path in result.zoo.iterdir() if path.is_dir()):
        try:
            blocks = {COST: cost_block(directory)}
        except GraphError:
            continue
        rows = [row for row in result.rows if row.name.partition("/")[0] == directory.name]
        if rows:
            sample = result.validation.sample
            about = sample.about_graphs if directory.name.startswith("sector") else sample.about_events
            blocks[ACCURACY] = accuracy_block(rows, about=about)
        card = directory / CARD
        text = card.read_text(encoding="utf-8") if card.is_file() else f"# {directory.name}\n"
        write_page(card, replace_blocks(text, blocks, where=str(card), append=True))
        written.append(directory.name)
    return written


def _cost_row(directory: Path, name: str) -> tuple[str, ...]:
    graph = TypedGraph.load(directory)
    cost = network_cost(graph)
    maxima = graph.maxima
    unit = f"graph of {maxima.nodes} nodes and {maxima.edges} edges" if graph.is_graph_network else PER.get(name, "row")
    return (
        name.replace("_", " ") or "interaction network",
        f"{cost.parameters:,}",
        f"{cost.nonzero_weights:,} of {cost.weights:,}",
        f"{cost.input_bits} / {max(cost.weight_bits, cost.scaling_bits)} / {cost.activation_bits}",
        f"{cost.macs:,}",
        f"{round(cost.bops):,}",
        f"{cost.ebops:,}",
        unit,
    )


def _size(directory: Path) -> int:
    with np.load(directory / WEIGHTS, allow_pickle=False) as archive:
        return sum(archive[name].size for name in archive.files)
