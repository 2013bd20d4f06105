"""A call of every command that is over in seconds, on a tiny workload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from hitfabric.cli.app import app

QUICK_SECTOR = tuple(
    word
    for setting in (
        "sector.training_graphs=2",
        "sector.validation_graphs=1",
        "sector.interaction_network.network.width=2",
        "sector.interaction_network.schedule={float_epochs: 1, quantized_epochs: 1, steps: 2}",
    )
    for word in ("--set", setting)
)
QUICK_CHAIN = tuple(
    word
    for setting in (
        "chain.data={events: 1, validation_events: 1}",
        "chain.embedding={network: {hidden: [8]}, schedule: {float_epochs: 1, quantized_epochs: 1, steps: 2}}",
        "chain.filter={network: {hidden: [8]}, schedule: {float_epochs: 1, quantized_epochs: 1, steps: 2}}",
        "chain.interaction_network={network: {width: 2}, schedule: {float_epochs: 1, quantized_epochs: 1, steps: 2}}",
    )
    for word in ("--set", setting)
)
QUICK_SEARCH = ("--set", "search={rounds: 1, changes: 1, steps: 1, accepted_steps: 1}")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the commands of the table read.

    Attributes:
        folder: Where all of it is.
        port: One that is taken.
    """

    folder: Path
    port: int

    @property
    def events(self) -> Path:
        """Tiny events."""
        return self.folder / "events"

    @property
    def run(self) -> Path:
        """Run directory of a chain trained on them."""
        return self.folder / "train"

    @property
    def graphs(self) -> Path:
        """Graphs of the events."""
        return self.folder / "graphs"

    @property
    def sector(self) -> Path:
        """Run directory of a sector network trained on those."""
        return self.folder / "sector"

    @property
    def project(self) -> Path:
        """Run directory of `build`."""
        return self.folder / "project"

    @property
    def evaluated(self) -> Path:
        """Run directory of `evaluate`."""
        return self.folder / "evaluated"

    @property
    def qonnx(self) -> Path:
        """An exported network."""
        return self.folder / "embedding.onnx"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        command: Name of the command.
        arguments: What follows it, given the inputs and a folder to write to, which is not there yet.
        writes: Whether it writes files.
        in_place: Whether it writes into a run directory that it reads.
        code: How it ends where nothing is in its way.
        long: Takes more than a second.
        variant: Names the call where a command has several.
    """

    command: str
    arguments: Callable[[Inputs, Path], tuple[object, ...]]
    writes: bool = True
    in_place: bool = False
    code: int = 0
    long: bool = False
    variant: str = ""

    @property
    def name(self) -> str:
        """Name of a test of it."""
        return "-".join(filter(None, (self.command, self.variant)))

    def words(self, inputs: Inputs, out: Path) -> list[str]:
        """The command line without the program."""
        return [self.command, *map(str, self.arguments(inputs, out))]


CALLS = (
    Call(
        command="simulate",
        arguments=lambda _, out: ("--events", 2, "--pile-up", 1, "--generator", "helix", "--workers", 1, "--out", out),
    ),
    Call(command="convert", arguments=lambda i, out: ("--events", i.events, "--limit", 2, "--out", out)),
    Call(
        command="convert",
        variant="trackml",
        arguments=lambda i, out: ("--events", i.events, "--limit", 2, "--to", "trackml", "--out", out),
    ),
    Call(command="graphs", arguments=lambda i, out: ("--events", i.events, "--min-pt", 0.3, "--out", out)),
    Call(command="train", long=True, arguments=lambda i, out: ("--events", i.events, *QUICK_CHAIN, "--out", out)),
    Call(
        command="train",
        variant="sector",
        long=True,
        arguments=lambda i, out: ("--graphs", i.graphs, *QUICK_SECTOR, "--out", out),
    ),
    Call(
        command="search",
        long=True,
        arguments=lambda i, out: ("--graphs", i.graphs, *QUICK_SECTOR, *QUICK_SEARCH, "--out", out),
    ),
    Call(command="build", arguments=lambda i, out: ("--model", i.run, "--no-compile", "--out", out)),
    Call(
        command="build",
        variant="rtl",
        long=True,
        arguments=lambda i, out: (
            i.sector / "sector_interaction_network",
            "--rtl",
            "--lanes",
            1,
            "--no-compile",
            "--out",
            out,
        ),
    ),
    Call(command="resources", in_place=True, arguments=lambda i, _: (i.project,)),
    Call(
        command="validate",
        long=True,
        arguments=lambda i, out: ("--model", i.run, "--executors", "golden,numpy", "--jobs", 1, "--out", out),
    ),
    Call(command="repository", arguments=lambda i, out: ("--model", i.run, "--repository", out)),
    Call(
        command="serve",
        writes=False,  # the port is taken
        code=2,
        arguments=lambda i, out: ("--model", i.run, "--grpc-port", i.port, "--free-ports", "--out", out),
    ),
    Call(
        command="track", arguments=lambda i, out: ("--events", i.events, "--model", i.run, "--limit", 2, "--out", out)
    ),
    Call(
        command="evaluate",
        arguments=lambda i, out: ("--events", i.events, "--model", i.run, "--limit", 2, "--out", out),
    ),
    Call(
        command="evaluate",
        variant="all",
        long=True,
        arguments=lambda i, out: ("--all", "--quick", "--set", f"zoo={i.folder / 'zoo'}", "--out", out),
    ),
    Call(
        command="explore",
        long=True,
        arguments=lambda i, out: (
            i.sector / "sector_interaction_network",
            "--lanes",
            1,
            "--set",
            "simulated=2",
            "--jobs",
            1,
            "--out",
            out,
        ),
    ),
    Call(command="report", long=True, in_place=True, arguments=lambda i, _: (i.evaluated,)),
    Call(command="report", variant="two", long=True, in_place=True, arguments=lambda i, _: (i.evaluated, i.evaluated)),
    Call(command="demo", long=True, arguments=lambda i, out: ("--quick", "--out", out)),
    Call(command="capacity", arguments=lambda _, out: ("--events-per-second-per-server", 3, "--out", out)),
    Call(command="lint", long=True, writes=False, arguments=lambda i, _: (i.run / "checkpoints" / "embedding.pt",)),
    Call(command="doctor", writes=False, arguments=lambda *_: ()),
    Call(
        command="compile",
        arguments=lambda i, out: (i.run / "chain" / "embedding", "--instructions", "plain", "--out", out),
    ),
    Call(command="describe", writes=False, arguments=lambda i, _: (i.run / "chain",)),
    Call(
        command="describe", variant="svg", arguments=lambda i, out: (i.run / "chain" / "filter", "--svg", out / "a.svg")
    ),
    Call(command="export", arguments=lambda i, out: (i.run / "chain" / "embedding", "--qonnx", out / "a.onnx")),
    Call(command="import", arguments=lambda i, out: (i.qonnx, "--out", out)),
)


def commands_of_the_program() -> set[str]:
    """Names of all commands there are."""
    return set(getattr(typer.main.get_command(app), "commands", {}))
