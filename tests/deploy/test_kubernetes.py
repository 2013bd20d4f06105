"""Manifests beside the chart: schemas, selectors that find the chart's pods, and a job that writes a repository."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.deployment_checks import image_complaints, privilege_complaints, schema_complaints
from support.supersonic import DEPLOY, PLACES, ROOT, envoy_manifests, place_values, triton_deployment

Manifest = dict[str, Any]


def manifests() -> dict[str, Manifest]:
    found = {}
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            found[f"{path.stem}-{manifest['kind']}"] = manifest
    return found


MANIFESTS = manifests()


def selects(labels: Manifest, selector: Manifest) -> bool:
    return selector.items() <= labels.items()


def test_what_there_is() -> None:
    kinds = {manifest["kind"] for manifest in MANIFESTS.values()}
    assert kinds == {"PersistentVolumeClaim", "Job", "PodDisruptionBudget", "NetworkPolicy"}


@pytest.mark.parametrize("name", MANIFESTS)
def test_schema(name: str) -> None:
    assert schema_complaints(MANIFESTS[name]) == []


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_unknown_field_is_found(name: str) -> None:
    manifest = yaml.safe_load(yaml.safe_dump(MANIFESTS[name]))
    manifest["spec"]["unknown"] = 1
    assert len(schema_complaints(manifest)) == 2


@pytest.mark.parametrize("place", PLACES)
def test_selectors_find_the_pods(place: str) -> None:
    """A policy whose selector finds nobody forbids nothing: labels are those of the chart."""
    values = place_values(place)
    triton = triton_deployment(values)["spec"]["template"]["metadata"]["labels"]
    envoy = envoy_manifests(values)[0]["spec"]["selector"]
    guard = MANIFESTS["network-policy-NetworkPolicy"]["spec"]
    assert selects(triton, guard["podSelector"]["matchLabels"])
    assert not selects(envoy, guard["podSelector"]["matchLabels"])
    assert selects(envoy, guard["ingress"][0]["from"][0]["podSelector"]["matchLabels"])
    proxies = MANIFESTS["network-policy-tier2-NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert selects(envoy, proxies) and not selects(triton, proxies)
    assert selects(triton, MANIFESTS["disruption-budget-PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])


def test_ports_of_the_policies_are_those_of_the_services() -> None:
    values = place_values("tier2")
    open_ports = {
        port["port"] for rule in MANIFESTS["network-policy-NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]
    }
    assert open_ports == {
        port["containerPort"]
        for port in triton_deployment(values)["spec"]["template"]["spec"]["containers"][0]["ports"]
        if port["name"] != "http"  # HTTP is for probes of the node alone
    }


def test_the_job_writes_where_the_server_reads() -> None:
    claim = MANIFESTS["model-repository-PersistentVolumeClaim"]
    pod = MANIFESTS["model-repository-Job"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for place in PLACES:
        repository = place_values(place)["triton"]["modelRepository"]
        assert repository["pvc"]["claimName"] == claim["metadata"]["name"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert repository["mountPath"] == container["volumeMounts"][0]["mountPath"] == "/models"
        assert container["image"] == place_values(place)["triton"]["image"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container["image"].endswith(f":{version}") and not list(image_complaints(container["image"]))
    assert not list(privilege_complaints(pod))
    assert "/models/repository" in (DEPLOY / "image" / "serve.sh").read_text()
    assert "--repository=/models/repository" in container["args"]


def test_the_command_of_the_job_runs(tmp_path: Path) -> None:
    (container,) = MANIFESTS["model-repository-Job"]["spec"]["template"]["spec"]["containers"]
    program, *command = container["command"]
    assert program == "/opt/hitfabric/venv/bin/hitfabric"
    wanted = [argument.replace("/models/repository", str(tmp_path / "repository")) for argument in container["args"]]
    done = subprocess.run(
        [sys.executable, "-c", "from hitfabric.cli import main; main()", *command, *wanted, "--instances=3"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config = (tmp_path / "repository" / "tracking" / "config.pbtxt").read_text()
    assert 'backend: "hitfabric"' in config and "count: 3" in config and '"native"' in config
    assert "max_queue_size: 32" in config
