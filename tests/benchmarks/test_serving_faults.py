"""The benchmark of faults judges answers as it says, and finds none wrong in a short run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving_faults import main
from serving_faults_answers import VERDICTS, Refusal, Tally, judge
from serving_faults_load import Budget
from serving_faults_mix import GRAPH_SIZES, SHARES, Case, Mix, make_mix
from serving_faults_processes import Memory, Sample
from serving_faults_run import is_good
from serving_faults_transports import http_body

from hitfabric.fpga_backend import Chain
from hitfabric.models.zoo import zoo_path

RIGHT = np.array([[0.5, -1.0]], np.float32)
GOOD = Case(model="embedding", inputs={"features": np.zeros((1, 6), np.float32)}, expected={"embedding": RIGHT})
BAD = Case(model="filter", inputs={"pairs": np.full((1, 12), np.nan, np.float32)}, refused="pairs")


@pytest.mark.parametrize(
    ("case", "reply", "verdict"),
    [
        (GOOD, {"embedding": RIGHT.copy()}, "right"),
        (GOOD, {"embedding": np.nextafter(RIGHT, np.float32(9))}, "wrong"),
        (GOOD, {"embedding": RIGHT.astype(np.float64)}, "wrong"),
        (GOOD, {"embedding": RIGHT[0]}, "wrong"),
        (GOOD, {"embedding": np.concatenate([RIGHT, RIGHT])}, "wrong"),
        (GOOD, {}, "wrong"),
        (GOOD, {"embedding": RIGHT, "more": RIGHT}, "wrong"),
        (GOOD, Refusal(status="INVALID_ARGUMENT", message="tensor 'features' row 0"), "wrong"),
        (GOOD, Refusal(status="INTERNAL", message="worker answered too few tensors"), "wrong"),
        (GOOD, Refusal(status="UNAVAILABLE", message="embedding_0_0: worker died"), "unavailable"),
        (GOOD, Refusal(status="UNAVAILABLE", message="failed to connect to all addresses"), "lost"),
        (GOOD, Refusal(status="CONNECTION", message="reset"), "lost"),
        (GOOD, Refusal(status="SILENCE", message=""), "hung"),
        (BAD, Refusal(status="INVALID_ARGUMENT", message="tensor 'pairs' row 0 is not finite"), "right"),
        (BAD, Refusal(status="INVALID_ARGUMENT", message="something is wrong"), "wrong"),
        (BAD, Refusal(status="UNAVAILABLE", message="filter_0_0: worker died"), "unavailable"),
        (BAD, Refusal(status="INTERNAL", message="pairs"), "wrong"),
        (BAD, {}, "wrong"),
        (BAD, {"logits": np.zeros((1, 1), np.float32)}, "wrong"),
    ],
)
def test_verdicts(case: Case, reply: Any, verdict: str) -> None:
    found, reason = judge(case, reply)
    assert found == verdict
    assert bool(reason) == (verdict != "right")


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"wrong": 1, "right": 6}, False),
        ({"lost": 1, "right": 6}, False),
        ({"hung": 1, "right": 6}, False),
        ({"right": 6}, False),
        ({"server_alive": False}, False),
        ({"failed": 3}, False),
        ({"failed": 0, "rollout_errors": ["embedding: damaged firmware was taken"]}, False),
        ({"failed": 0, "rollout_errors": []}, True),
    ],
)
def test_what_a_good_run_is(change: dict[str, Any], good: bool) -> None:
    content = {"right": 7, "unavailable": 3, "wrong": 0, "lost": 0, "hung": 0, "requests": 10, "server_alive": True}
    assert is_good({**content, **change}) == good


def test_the_tally_counts_by_model_and_transport() -> None:
    tally = Tally()
    tally.add(GOOD, "grpc", "right", "")
    tally.add(GOOD, "http", "unavailable", "embedding: died")
    tally.add(BAD, "http", "right", "")
    assert tally.total == 3
    assert tally.verdicts == {"right": 2, "unavailable": 1}
    assert tally.by_model == {"embedding": {"right": 1, "unavailable": 1}, "filter": {"right": 1}}
    assert tally.by_transport == {"grpc": {"right": 1}, "http": {"right": 1, "unavailable": 1}}
    assert tally.examples == {"unavailable": ["embedding: died"]}


def test_a_budget_is_kept() -> None:
    budget = Budget(requests=3)
    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]
    assert not Budget(requests=None, ends=0.0).take()
    waits = iter([True, True, False])
    longer = Budget(requests=1, more=lambda: next(waits))
    assert [longer.take() for _ in range(4)] == [True, True, True, False]


def test_growth_is_that_of_the_settled_part() -> None:
    sizes = [10, 50, *(60 + number for number in range(8))]
    samples = [
        Sample(seconds=3600.0 * i, server=size * 10**6, workers=0, spared=0, descriptors=7)
        for i, size in enumerate(sizes)
    ]
    report = Memory(samples=samples).report()
    assert report["server"] == {"start_mb": 10, "end_mb": 67, "peak_mb": 67, "growth_mb_per_hour": pytest.approx(1.0)}
    assert report["workers"]["growth_mb_per_hour"] == 0
    assert report["server_descriptors"] == {"start": 7, "end": 7, "peak": 7}


@pytest.fixture(scope="module")
def mix() -> Mix:
    return make_mix(Chain.load(zoo_path("event-pixel"), device="golden"), of_each=3)


def test_the_mix_holds_what_it_says(mix: Mix) -> None:
    assert set(mix.cases) == set(SHARES)
    assert sum(SHARES.values()) == pytest.approx(1)
    assert len(mix.cases["interaction_network"]) == 3 * len(GRAPH_SIZES)
    assert {case.model for case in mix.cases["malformed"]} == set(SHARES) - {"malformed"}
    assert all(bool(case.refused) == (kind == "malformed") for kind, cases in mix.cases.items() for case in cases)
    # Events in which nothing is found would say little.
    assert max(case.expected["LABELS"].max(initial=-1) for case in mix.cases["tracking"]) > 10
    header, body = http_body(mix.cases["interaction_network"][-1])
    assert sum(item["parameters"]["binary_data_size"] for item in json.loads(header)["inputs"]) == len(body)
    rng = np.random.default_rng(0)
    assert {mix.draw(rng).model for _ in range(100)} == set(SHARES) - {"malformed"}


@pytest.mark.slow
def test_a_short_run_with_kills(tmp_path: Path) -> None:
    # So seldom that workers have the time to start on a machine that is busy with other tests.
    arguments = ["--requests", "1500", "--kill-every", "0.4", "--seed", "3", "--json", str(tmp_path / "faults.json")]
    assert main(arguments) == 0
    content = json.loads((tmp_path / "faults.json").read_text())
    assert sum(content[verdict] for verdict in VERDICTS) == 1500
    assert content["wrong"] == content["lost"] == content["hung"] == 0
    assert content["right"] > 900 and content["kills"] >= 1
    assert set(content["by_transport"]) == {"grpc", "http", "shared_memory"}
    assert content["memory"]["server"]["peak_mb"] > 10


@pytest.mark.slow
def test_a_short_run_with_reloads(tmp_path: Path) -> None:
    assert main(["--requests", "100", "--reload", "--json", str(tmp_path / "reload.json")]) == 0
    content = json.loads((tmp_path / "reload.json").read_text())
    assert content["failed"] == content["kills"] == 0
    assert content["rollout"]["refused"] >= 4 and content["rollout"]["versions"] >= 4
    assert len(content["refusals_of_damaged_firmware"]) >= 4
    assert all("differs from its manifest" in reason for reason in content["refusals_of_damaged_firmware"])
