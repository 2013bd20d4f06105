"""Small chains with random integer weights, and a server over one of them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hitfabric.fpga_backend import Chain, ChainConfig, TritonServer, save_chain, write_repository
from hitfabric.fpga_backend.build import SOURCE_DIRECTORY
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.fake_kernels import bitstream_of, golden_kernels
from support.fake_xrt import FakeXrt

ACTIVATION = FixedPoint(signed=True, width=10, integer=3)
UNSIGNED = FixedPoint(signed=False, width=8, integer=2)
WEIGHT = FixedPoint(signed=True, width=6, integer=1, overflow="SAT_SYM")


def _dense(builder: GraphBuilder, name: str, source: str, outputs: int, rng: np.random.Generator) -> str:
    width = builder.nodes[source].tensor.width
    weight = rng.integers(-31, 32, size=(outputs, width))
    bias = rng.integers(-31, 32, size=outputs)
    return builder.dense(name, source, weight=weight, weight_format=WEIGHT, bias=bias, bias_format=WEIGHT)


def _rows(name: str, source: str, width: int, result: str, outputs: int, seed: int) -> TypedGraph:
    rng, builder = np.random.default_rng(seed), GraphBuilder()
    layer = builder.input(source, shape=("R", width), format=ACTIVATION)
    layer = builder.requantize("hidden", _dense(builder, "dense1", layer, 16, rng), format=UNSIGNED)
    layer = builder.requantize("last", _dense(builder, "dense2", layer, outputs, rng), format=ACTIVATION)
    builder.output(result, layer)
    return TypedGraph.from_builder(builder, name=name)


def _interaction_network(seed: int, edge_features: int = 4) -> TypedGraph:
    """An interaction network with random weights."""
    rng, builder = np.random.default_rng(seed), GraphBuilder(maxima=Maxima(nodes=64, edges=128))
    nodes = builder.input("nodes", shape=("N", 3), format=ACTIVATION)
    edges = builder.input("edges", shape=("E", edge_features), format=ACTIVATION)
    index = builder.edge_index("edge_index")
    joined = builder.concat("joined", [builder.edge_gather("ends", nodes, index), edges])
    message = builder.requantize("message", _dense(builder, "dense1", joined, 6, rng), format=UNSIGNED)
    received = builder.requantize("received", builder.edge_aggregate("sums", message, index), format=ACTIVATION)
    updated = builder.concat("updated", [nodes, received])
    again = builder.concat("again", [builder.edge_gather("ends2", updated, index), message])
    last = builder.requantize("last", _dense(builder, "dense2", again, 1, rng), format=ACTIVATION)
    builder.output("logits", last)
    return TypedGraph.from_builder(builder, name="interaction_network")


@pytest.fixture(scope="session")
def graphs() -> dict[str, TypedGraph]:
    """The three networks of a chain, with random weights."""
    return {
        "embedding": _rows("embedding", "features", 6, "embedding", 8, seed=1),
        "filter": _rows("filter", "pairs", 12, "logits", 1, seed=2),
        "interaction_network": _interaction_network(seed=3),
    }


@pytest.fixture(scope="session")
def make_interaction_network() -> Callable[..., TypedGraph]:
    """Function making an interaction network of a seed and a number of edge features."""
    return _interaction_network


@pytest.fixture(scope="session")
def config() -> ChainConfig:
    """A radius that joins some hits of the random events, thresholds near the middle of the logits."""
    return ChainConfig(radius=0.25, max_neighbours=6, filter_threshold=-0.5, interaction_threshold=-0.5, minimum_hits=3)


@pytest.fixture(scope="session")
def chain_directory(
    tmp_path_factory: pytest.TempPathFactory, config: ChainConfig, graphs: dict[str, TypedGraph]
) -> Path:
    """A saved chain."""
    directory = tmp_path_factory.mktemp("chain") / "chain"
    save_chain(directory, config=config, graphs=graphs)
    return directory


@pytest.fixture(scope="session")
def chain(chain_directory: Path) -> Chain:
    """The chain on the golden executor."""
    return Chain.load(chain_directory, device="golden")


@pytest.fixture(scope="session")
def make_hits() -> Callable[..., np.ndarray]:
    """Function making the features of an event of straight tracks and noise."""

    def make(hits: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        layers = np.array([32.0, 72.0, 116.0, 172.0])
        track = rng.integers(0, max(hits // 4, 1), size=hits)
        phi, slope = rng.uniform(-3.1, 3.1, size=hits)[track], rng.uniform(-2, 2, size=hits)[track]
        r = layers[rng.integers(0, 4, size=hits)]
        return np.stack([r, phi + rng.normal(0, 1e-3, hits), slope * r], axis=1).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, chain_directory: Path) -> Path:
    """Model repository with a batch timeout short enough to wait for."""
    return write_repository(
        tmp_path_factory.mktemp("models") / "repository", chain_directory, device="golden", worker_timeout_ms=3000
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[TritonServer]:
    """The real server over the golden executor."""
    with TritonServer(repository=repository, log=tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@pytest.fixture(scope="session")
def check_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Function that runs `cpp/check.cc`, compiled against the backend's sources."""
    program = tmp_path_factory.mktemp("cpp") / "check"
    parts = ("json.cc", "json_dump.cc", "signature.cc")
    sources = [Path(__file__).parent / "cpp" / "check.cc", *(SOURCE_DIRECTORY / name for name in parts)]
    options = [
        "-std=c++17",
        "-O1",
        "-D_GLIBCXX_ASSERTIONS",
        "-fsanitize=undefined",
        "-fno-sanitize-recover",
        "-Wall",
        "-Wextra",
        "-Werror",
    ]
    command = ["g++", *options, f"-I{SOURCE_DIRECTORY}", "-o", str(program), *map(str, sources)]
    subprocess.run(command, check=True, timeout=300)

    def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program), *arguments], input=text, capture_output=True, encoding="utf-8", timeout=60, check=False
        )

    return run


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that this process listens on; it accepts connections, and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def put_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeXrt], FakeXrt]:
    """Function that makes a fake the module `pyxrt`."""

    def put(fake: FakeXrt) -> FakeXrt:
        monkeypatch.setitem(sys.modules, "pyxrt", fake.module())
        return fake

    return put


@pytest.fixture
def card(graphs: dict[str, TypedGraph], put_in: Callable[[FakeXrt], FakeXrt]) -> FakeXrt:
    """A card that computes the chain's networks."""
    return put_in(FakeXrt(golden_kernels(graphs)))


@pytest.fixture
def bitstream(graphs: dict[str, TypedGraph], tmp_path: Path) -> Path:
    """A bitstream with the chain's networks, two compute units each."""
    return bitstream_of(*graphs.values(), units=2).write(tmp_path / "chain.xclbin")
