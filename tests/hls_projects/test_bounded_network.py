"""Networks of processes on bounded FIFOs, under the sanitizers and against a model that runs in random order."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from hitfabric.hls_projects.streams import HEADERS

BENCH = Path(__file__).parent / "bounded_bench.cpp"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("bounded") / "bench"
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    subprocess.run(
        ["g++", *flags, "-fno-sanitize-recover=all", f"-I{HEADERS}", str(BENCH), "-o", str(program)], check=True
    )
    return program


def run(bench: Path, *words: str, text: str = "") -> str:
    """What a case prints; the sanitizers, which also look for leaks, found nothing."""
    finished = subprocess.run([bench, *words], input=text, capture_output=True, text=True, check=False, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_deep_enough_gives_the_values_in_order(bench: Path) -> None:
    assert run(bench, "deep") == "400 301 202 103 done"


def test_too_shallow_names_the_circular_wait(bench: Path) -> None:
    assert run(bench, "shallow").splitlines() == [
        "deadlock: join waits for reversed to write late; reversed waits for source to write first;"
        " source waits for join to read second, full at depth 3;",
        "join late empty",
        "reversed first empty",
        "source second full",
        "",  # nobody else waits
    ]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("throws", "error: the process failed"),
        ("starved", "deadlock: long waits for short to write a;\nlong a empty\n\n"),
        ("leftover", "error: a holds packets that no process has read"),
        ("port", "error: in is read while empty, and nothing will fill it"),
        ("polls", "error: a: empty() in a dataflow process depends on timing"),
    ],
)
def test_what_is_wrong_is_told(bench: Path, case: str, told: str) -> None:
    assert run(bench, case) == told


@pytest.mark.parametrize("case", ["deep", "shallow", "throws"])
def test_a_thousand_networks_leak_nothing(bench: Path, case: str) -> None:
    run(bench, case, "1000")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A random network: each process reads FIFOs of earlier ones; a gathering one reads all of its first at once."""

    packets: int
    depths: list[int]
    gathers: list[bool]
    reads: list[list[int]]
    writes: list[list[int]]

    @property
    def text(self) -> str:
        lists = [
            f"{int(gathers)} {len(reads)} {' '.join(map(str, reads))} {len(writes)} {' '.join(map(str, writes))}"
            for gathers, reads, writes in zip(self.gathers, self.reads, self.writes, strict=True)
        ]
        head = f"{self.packets} {len(self.reads)} {len(self.depths)}"
        return "\n".join([head, " ".join(map(str, self.depths)), *lists])


def draw(seed: int) -> Drawn:
    generator = random.Random(seed)
    count, packets = generator.randint(2, 8), generator.randint(1, 6)
    reads: list[list[int]] = [[] for _ in range(count)]
    writes: list[list[int]] = [[] for _ in range(count)]
    fifos = 0
    for reader in range(1, count):
        for writer in generator.sample(range(reader), generator.randint(1, min(3, reader))):
            writes[writer].append(fifos)
            reads[reader].append(fifos)
            fifos += 1
    return Drawn(
        packets=packets,
        depths=[generator.choice([1, 2, packets, packets]) for _ in range(fifos)],
        gathers=[bool(inputs) and generator.random() < 0.5 for inputs in reads],
        reads=reads,
        writes=writes,
    )


def trips(network: Drawn, process: int) -> list[tuple[list[int], list[int]]]:
    """What a process reads and writes at once, trip by trip."""
    reads, writes = network.reads[process], network.writes[process]
    if not network.gathers[process]:
        return [(reads, writes)] * network.packets
    # The last packet gathered is read in the trip that writes the first result.
    fill = [([reads[0]], list[int]())] * (network.packets - 1)
    return [*fill, (reads, writes), *[(reads[1:], writes)] * (network.packets - 1)]


def completes(network: Drawn, *, order: random.Random) -> bool:
    """Whether every process ends, one that can go on being chosen at random each time."""
    left = [trips(network, process) for process in range(len(network.reads))]
    held = [0] * len(network.depths)
    while True:
        ready = [
            process
            for process, ahead in enumerate(left)
            if ahead
            and all(held[fifo] > 0 for fifo in ahead[0][0])
            and all(held[fifo] < network.depths[fifo] for fifo in ahead[0][1])
        ]
        if not ready:
            return not any(left)
        reads, writes = left[order.choice(ready)].pop(0)
        for fifo in reads:
            held[fifo] -= 1
        for fifo in writes:
            held[fifo] += 1


def test_the_verdict_is_that_of_any_order(bench: Path) -> None:
    verdicts = []
    for seed in range(150):
        network = draw(seed)
        expected = {completes(network, order=random.Random(k)) for k in range(5)}
        assert len(expected) == 1, seed
        verdicts.append(expected.pop())
        assert run(bench, "given", text=network.text).startswith("done" if verdicts[-1] else "deadlock"), seed
    assert 15 < sum(verdicts) < 135  # both happen often
