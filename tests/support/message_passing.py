"""Typed graphs that stress one thing each: many rounds, and every shape a skip, an output or a format may take."""

from __future__ import annotations

import numpy as np

from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph

IN = FixedPoint(signed=True, width=7, integer=3, rounding="RND_CONV", overflow="SAT_SYM")
COARSE = FixedPoint(signed=True, width=5, integer=4)
HIDDEN = FixedPoint(signed=False, width=6, integer=3)
WEIGHT = FixedPoint(signed=True, width=4, integer=1, overflow="SAT_SYM")
FINE_BIAS = FixedPoint(signed=True, width=12, integer=2)  # a finer grid than any product of HIDDEN or IN with WEIGHT


class Weights:
    """Adds Dense nodes with random weights to a builder; the same key gives the same weights."""

    def __init__(self, builder: GraphBuilder, *, seed: int) -> None:
        self.builder = builder
        self.seed = seed

    def dense(self, name: str, source: str, width: int, *, key: int = 0, bias: bool = True, zero: bool = False) -> str:
        """A dense layer of `width` outputs with fine biases."""
        generator = np.random.default_rng([self.seed, key])
        shape = (width, self.builder.nodes[source].tensor.width)
        weight = generator.integers(WEIGHT.low, WEIGHT.high + 1, shape)
        return self.builder.dense(
            name,
            source,
            weight=weight * (not zero),
            weight_format=WEIGHT,
            bias=generator.integers(FINE_BIAS.low, FINE_BIAS.high + 1, width) if bias else None,
            bias_format=FINE_BIAS if bias else None,
        )


def rounds_network(rounds: int, *, maxima: Maxima, residual: bool, width: int = 2, seed: int = 0) -> TypedGraph:
    """An interaction network with shared weights, edge states, sums over both ends, and a skip in each round.

    Args:
        rounds: Rounds of message passing.
        maxima: Room for nodes and edges.
        residual: Add each round's node states to the last ones; otherwise concatenate the first ones again.
        width: Features of nodes and edges.
        seed: Of the weights.
    """
    builder = GraphBuilder(maxima=maxima)
    weights = Weights(builder, seed=seed)
    first = nodes = builder.input("nodes", shape=("N", width), format=IN)
    edges = builder.input("edges", shape=("E", width), format=IN)
    index = builder.edge_index("edge_index")
    for k in range(rounds):
        joined = builder.concat(f"message{k}_in", [builder.edge_gather(f"ends{k}", nodes, index), edges])
        edges = builder.requantize(f"edges{k}", weights.dense(f"message{k}", joined, width, key=1), format=IN)
        sums = [
            builder.requantize(f"sum{k}_{column}_q", total, format=IN)
            for column in (0, 1)
            for total in [builder.edge_aggregate(f"sum{k}_{column}", edges, index, column=column)]
        ]
        joined = builder.concat(f"update{k}_in", [nodes, *sums] if residual else [first, nodes, *sums])
        update = builder.requantize(f"update{k}_q", weights.dense(f"update{k}", joined, width, key=2), format=IN)
        nodes = builder.add(f"skip{k}", nodes, update) if residual else update
        nodes = builder.requantize(f"nodes{k}", nodes, format=IN)
    joined = builder.concat("last_in", [builder.edge_gather("last_ends", nodes, index), edges])
    builder.output("logits", weights.dense("last", joined, 1, key=3))
    return TypedGraph.from_builder(builder, name=f"rounds{rounds}")


def odd_network(maxima: Maxima) -> TypedGraph:
    """Every unusual use of a tensor in one graph network."""
    builder = GraphBuilder(maxima=maxima)
    weights = Weights(builder, seed=1)
    nodes = builder.input("nodes", shape=("N", 1), format=IN)  # 1 wide
    edges = builder.input("edges", shape=("E", 1), format=COARSE)
    index = builder.edge_index("edge_index")
    builder.output("same_nodes", nodes)  # an input that is an output, and is read besides
    ends = builder.edge_gather("ends", nodes, index)
    coarse_ends = builder.requantize("coarse_ends", ends, format=COARSE)
    twice = builder.concat("twice", [edges, edges])  # one tensor in both places
    mixed = builder.add("mixed", coarse_ends, twice)
    parts = builder.concat("parts", [ends, mixed, edges, coarse_ends])  # four, with different fractions
    message = weights.dense("message", parts, 3)
    messages = builder.requantize("messages", message, format=HIDDEN)
    signed = builder.requantize("signed", message, format=COARSE)  # an accumulator read twice
    builder.output("message_sums", message)  # and an output
    builder.output("messages_seen", messages)  # an output used inside
    both = builder.add("both", messages, signed)  # unsigned and signed, different fractions
    doubled = builder.add("doubled", both, both)  # one tensor in both places
    builder.output("doubled_out", doubled)
    into = builder.edge_aggregate("into", messages, index, column=1)
    out_of = builder.edge_aggregate("out_of", signed, index, column=0)
    largest = builder.edge_aggregate("largest", both, index, column=1, mode="max")
    builder.output("largest_out", largest)  # an aggregate nothing requantizes
    sums = [builder.requantize(f"{name}_q", name, format=IN) for name in (into, out_of)]
    nothing = builder.requantize("nothing", weights.dense("zero", nodes, 3, zero=True), format=IN)
    once = builder.requantize("once", messages, format=COARSE)
    builder.output("rounded_twice", builder.requantize("twice_rounded", once, format=IN))  # two roundings in a row
    bare = builder.requantize("bare", weights.dense("bare_dense", nodes, 3, bias=False), format=IN)
    state_in = builder.concat("state_in", [nodes, *sums, builder.add("sum_skip", largest, nothing), bare])
    states = builder.requantize("states", weights.dense("state", state_in, 2), format=IN)
    last = builder.concat("last_in", [builder.edge_gather("again", states, index), messages])
    builder.output("logits", weights.dense("last", last, 1))
    builder.output("gathered", builder.edge_gather("final", states, index))
    return TypedGraph.from_builder(builder, name="odd")


def odd_rows() -> TypedGraph:
    """Every unusual use of a tensor in one network of rows."""
    builder = GraphBuilder()
    weights = Weights(builder, seed=2)
    x = builder.input("features", shape=("R", 1), format=IN)
    y = builder.input("more", shape=("R", 3), format=COARSE)
    builder.output("same", x)
    hidden = builder.requantize("hidden", weights.dense("hidden_sums", x, 3), format=HIDDEN)
    mixed = builder.add("mixed", hidden, y)
    zero = builder.requantize("zero_q", weights.dense("zero", y, 3, zero=True), format=IN)
    joined = builder.concat("joined", [x, mixed, y, zero, builder.add("doubled", y, y)])
    builder.output("mixed_out", mixed)
    builder.output("hidden_out", hidden)
    builder.output("result", weights.dense("result_sums", joined, 1))
    return TypedGraph.from_builder(builder, name="odd_rows")
