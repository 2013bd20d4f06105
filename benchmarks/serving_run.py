"""Which payloads, sides, instances and concurrencies are measured, and in which order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from serving_load import Load, measure
from serving_models import serve, write_models
from serving_payloads import Payload, hit_inputs, row_inputs
from serving_rows import Row, Side
from serving_sides import SHARED, check_equal, request, served_name, time_direct

from hitfabric.detector import Event
from hitfabric.fpga_backend import Chain, DirectClient, TritonServer
from hitfabric.fpga_backend.names import TRACKING
from hitfabric.models.zoo import zoo_path

ROW_MODELS = ("embedding", "filter")
WINDOWS = 3
SLOW_SECONDS = 0.03
"""Of requests that take longer a number is measured, not a time."""
CALLS = 5
"""Direct calls, the fastest of which says whether requests are slow."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    Attributes:
        rows: Rows of a request, of `embedding` and `filter`.
        hits: Hits of a request of `tracking`; None takes the whole event.
        concurrency: Requests under way at a time.
        instances: Instances of each model.
        slow_concurrency: The same where a request takes more than `SLOW_SECONDS`.
        slow_instances: The same.
        turns: Measurements with one instance and one request at a time: those the targets are about.
        seconds: Length of a window, of which there are three.
        slow_requests: Requests of a window, where they are slow; at least as many as are under way at a time.
        row_chain: Shipped chain whose `embedding` and `filter` are served.
        hit_chain: Shipped chain whose `tracking` is served.
    """

    rows: tuple[int, ...] = (1000, 100_000)
    hits: tuple[int | None, ...] = (100, 1000, None)
    concurrency: tuple[int, ...] = (1, 2, 4, 8, 16)
    instances: tuple[int, ...] = (1, 2, 4)
    slow_concurrency: tuple[int, ...] = (1, 4, 16)
    slow_instances: tuple[int, ...] = (1, 2, 4)
    turns: int = 3
    seconds: float = 0.5
    slow_requests: int = 8
    row_chain: str = "event-pixel"
    hit_chain: str = "event-full"


QUICK = Plan(rows=(1000,), concurrency=(1, 4), instances=(1,), slow_concurrency=(1,), slow_instances=(1,), turns=2)


@dataclass(kw_only=True, eq=False)
class Group:
    """Payloads of one chain, and what computes them in this process."""

    chain: Path
    client: DirectClient
    payloads: list[Payload]
    expected: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)

    @property
    def models(self) -> list[str]:
        """Models to serve."""
        return list(dict.fromkeys(payload.model for payload in self.payloads))

    def outputs(self, model: str) -> list[str]:
        """Every output of a model: what perf_analyzer asks for."""
        return [tensor.name for tensor in self.client.models[model].signature.outputs]


@dataclass(kw_only=True, eq=False)
class Sweep:
    """Measures everything.

    Attributes:
        plan: What.
        program: Folder of perf_analyzer.
        folder: For repositories, logs and inputs.
        console: For what is done when.
        rows: Measurements so far.
        equal: Outputs compared, by payload and side.
    """

    plan: Plan
    program: Path
    folder: Path
    console: Console
    rows: list[Row] = field(default_factory=list)
    equal: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)

    def run(self, groups: Sequence[Group]) -> None:
        """Measure every group with every number of instances."""
        for group in groups:
            self._prepare(group)
            for instances in self.plan.instances:
                payloads = [each for each in group.payloads if instances in self._instances(group, each)]
                if payloads:
                    self._serve(group, payloads, instances)

    def _instances(self, group: Group, payload: Payload) -> tuple[int, ...]:
        return self.plan.slow_instances if payload.name in group.slow else self.plan.instances

    def _prepare(self, group: Group) -> None:
        for payload in group.payloads:
            outputs = group.client.infer(payload.model, payload.inputs, outputs=group.outputs(payload.model))
            group.expected[payload.name] = {name: np.array(array) for name, array in outputs.items()}
            if min(_seconds(group, payload) for _ in range(CALLS)) > SLOW_SECONDS:
                group.slow.add(payload.name)

    def _serve(self, group: Group, payloads: Sequence[Payload], instances: int) -> None:
        models = [model for model in group.models if any(each.model == model for each in payloads)]
        self._say(f"{', '.join(models)} with {instances} {'instance' if instances == 1 else 'instances'}")
        repository = self.folder / f"{group.chain.name}-{instances}"
        write_models(repository, group.chain, models=models, instances=instances)
        with serve(repository, self.folder) as server:
            for payload in payloads:
                self._measure_payload(group, payload, server, instances)

    def _measure_payload(self, group: Group, payload: Payload, server: TritonServer, instances: int) -> None:
        sides = sides_of(payload)
        expected = group.expected[payload.name]
        served = sides[1:]
        if instances > 1:
            sides = served  # a direct call knows no instances
        for side in served:
            found = request(server.url, payload, side, expected)
            self.equal.setdefault(payload.name, {})[side] = check_equal(payload, side, found, expected)
            payload.write(self._data(side), side)
        self._say(f"  {payload.name}")
        slow = payload.name in group.slow
        for concurrency, turn in self._cases(slow, instances):
            for side in sides[turn % len(sides) :] + sides[: turn % len(sides)]:  # nobody always follows the same
                if side == "direct":
                    found = self._direct(group, payload, concurrency, slow)
                else:
                    load = self._load(payload, side, concurrency, slow, expected)
                    found = measure(load, server, program=self.program, folder=self.folder)
                what = {"payload": payload.name, "model": payload.model, "items": payload.items, "side": side}
                case = {"instances": instances, "concurrency": concurrency, "turn": turn}
                self.rows.append(Row.model_validate({**what, **case, **found}))

    def _cases(self, slow: bool, instances: int) -> Iterator[tuple[int, int]]:
        """Concurrency and number of the turn."""
        for concurrency in self.plan.slow_concurrency if slow else self.plan.concurrency:
            for turn in range(self.plan.turns if concurrency == instances == 1 else 1):
                yield concurrency, turn

    def _direct(self, group: Group, payload: Payload, concurrency: int, slow: bool) -> dict[str, float]:
        requests = WINDOWS * max(self.plan.slow_requests, concurrency) if slow else 1
        seconds = 0.0 if slow else WINDOWS * self.plan.seconds
        return time_direct(group.client, payload, concurrency=concurrency, seconds=seconds, requests=requests)

    def _load(
        self, payload: Payload, side: Side, concurrency: int, slow: bool, expected: Mapping[str, NDArray[Any]]
    ) -> Load:
        batch = payload.items if payload.batched else 1
        largest = max(-(-array.nbytes // batch) for array in expected.values())
        return Load(
            model=served_name(payload, side),
            batch=batch,
            data=self._data(side),
            concurrency=concurrency,
            window_seconds=None if slow else self.plan.seconds,
            window_requests=max(self.plan.slow_requests, concurrency),
            shared_bytes=largest if side in SHARED else 0,
        )

    def _data(self, side: Side) -> Path:
        return self.folder / f"inputs-{side}.json"

    def _say(self, text: str) -> None:
        self.console.print(f"{time.perf_counter() - self.start:6.1f} s  {text}", highlight=False)


def _seconds(group: Group, payload: Payload) -> float:
    """Time of one direct call."""
    start = time.perf_counter()
    group.client.infer(payload.model, payload.inputs)
    return time.perf_counter() - start


def sides_of(payload: Payload) -> list[Side]:
    """Sides that compute a payload; the first is `direct`."""
    sides: list[Side] = ["direct", "custom", "custom_shared", "python"]
    return [*sides, "ensemble"] if payload.model == TRACKING else sides


def make_groups(plan: Plan, event: Event) -> list[Group]:
    """Payloads of the plan: rows and hits of an event."""
    groups = []
    if plan.rows:
        path = Path(zoo_path(plan.row_chain))
        chain = Chain.load(path)
        payloads = [
            Payload(model=model, items=rows, inputs=row_inputs(chain, event, model, rows), batched=True)
            for model in ROW_MODELS
            for rows in plan.rows
        ]
        groups.append(Group(chain=path, client=DirectClient(chain), payloads=payloads))
    if plan.hits:
        path = Path(zoo_path(plan.hit_chain))
        chain = Chain.load(path)
        client = DirectClient(chain)
        names = {tensor.name for tensor in client.models[TRACKING].signature.inputs}
        every = [hit_inputs(chain, event, hits, names=names) for hits in plan.hits]
        payloads = [Payload(model=TRACKING, items=len(each["FEATURES"]), inputs=each, batched=False) for each in every]
        groups.append(Group(chain=path, client=client, payloads=payloads))
    return groups
