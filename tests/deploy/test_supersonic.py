"""The Helm values fit the chart, and what the chart and our patch make of them is a server as it should be."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from typing import Any

import jsonpatch
import pytest
import yaml

from support.deployment_checks import image_complaints, pod_complaints, schema_complaints
from support.supersonic import CHART, DEPLOY, PLACES, ROOT, envoy_manifests, misfits, place_values, triton_deployment

Values = dict[str, Any]
FPGA = "amd.com/xilinx_u55c_gen3x16_xdma_base_3-0"
FINISH = int(re.search(r"HITFABRIC_EXIT_SECONDS:-(\d+)", (DEPLOY / "image" / "serve.sh").read_text())[1])  # type: ignore[index]


def patch() -> list[Values]:
    return yaml.safe_load((DEPLOY / "supersonic" / "patch" / "triton.yaml").read_text())


def deployment(place: str) -> Values:
    return jsonpatch.apply_patch(triton_deployment(place_values(place)), patch())


def pod(manifest: Values) -> Values:
    return manifest["spec"]["template"]["spec"]


def container(manifest: Values) -> Values:
    return pod(manifest)["containers"][0]


@pytest.mark.parametrize("place", PLACES)
def test_values_fit_the_chart(place: str) -> None:
    assert list(misfits(place_values(place))) == []


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("triton.replica", 2, "triton.replica is no value of the chart"),
        ("triton.replicas", "2", "triton.replicas is str, not integer"),
        ("triton.livenessProbe", {}, "triton.livenessProbe is no value of the chart"),
        ("triton.resources.limits.cpu", "16", "triton.resources.limits.cpu is str, not integer"),
        ("triton.resources.limits.gpu", 1, "triton.resources.limits.gpu is no value of the chart"),
        (f"triton.resources.limits.{FPGA}", "1", f"triton.resources.limits.{FPGA} is str, not integer"),
        ("triton.args", "--model-control-mode=none", "triton.args is str, not a list"),
        ("triton.command", [1], "triton.command[0] is int, not string"),
        ("envoy.rate_limiter.listener_level", 5, "envoy.rate_limiter.listener_level is int, not a map"),
        ("envoy.rate_limiter.listener_level.enabled", 1, "envoy.rate_limiter.listener_level.enabled is int"),
        ("keda.maxReplicaCount", True, "keda.maxReplicaCount is bool, not integer"),
        ("kedaa", {}, "kedaa is no value of the chart"),
    ],
)
def test_a_wrong_key_or_type_is_found(path: str, value: object, complaint: str) -> None:
    values = place_values("on-premises")
    *keys, last = re.split(r"\.(?![^/]*/)", path) if FPGA not in path else [*path.split(".")[:3], FPGA]
    inside = values
    for key in keys:
        inside = inside[key]
    inside[last] = value
    assert any(complaint in found for found in misfits(values)), list(misfits(values))


@pytest.mark.parametrize("place", PLACES)
def test_choices_that_the_templates_make(place: str) -> None:
    """What the schema leaves open, but the chart's templates take in one form alone."""
    values = place_values(place)
    assert values["triton"]["modelRepository"]["storageType"] in CHART["storage_types"]
    auth = values["envoy"]["auth"]
    assert not auth["enabled"] or len(auth["audiences"]) == 1, "a list of two is written as one word"
    assert values["nameOverride"] == "hitfabric"
    account = values["prometheus"]["serviceAccounts"]["server"]["name"]
    role = values["prometheus"]["server"]["useExistingClusterRoleName"]
    assert (account, role) == ("hitfabric-prometheus-sa", "hitfabric-prometheus-role")
    assert not list(image_complaints(values["envoy"]["image"]))


def test_the_places_differ_in_what_they_are_for() -> None:
    farm, site = (place_values(place) for place in PLACES)
    for kind in ("limits", "requests"):
        assert farm["triton"]["resources"][kind][FPGA] == 1
        assert not [name for name in site["triton"]["resources"][kind] if "/" in name]
    assert farm["envoy"]["auth"]["enabled"] and farm["envoy"]["ingress"]["enabled"]
    assert site["envoy"]["service"]["type"] == "ClusterIP" and not site["envoy"]["ingress"]["enabled"]
    assert [each["kind"] for each in envoy_manifests(farm)] == ["Service", "Ingress"]
    assert [each["kind"] for each in envoy_manifests(site)] == ["Service"]


@pytest.mark.parametrize("place", PLACES)
def test_autoscaling(place: str) -> None:
    values = place_values(place)
    keda = values["keda"]
    assert keda["enabled"] and values["prometheus"]["enabled"], "KEDA asks Prometheus"
    assert 1 <= keda["minReplicaCount"] <= values["triton"]["replicas"] <= keda["maxReplicaCount"]
    assert not keda["zeroIdleReplicas"], "the metric comes from the servers: from none it never comes back"
    assert values["serverLoadThreshold"] > 0
    assert set(re.findall(r"nv_\w+", values["serverLoadMetric"])) == METRICS
    assert values["serverLoadMetric"].count('release=~"hitfabric"') == 2


METRICS = {"nv_inference_queue_duration_us", "nv_inference_exec_count"}


@pytest.mark.parametrize("place", PLACES)
def test_deployment_and_its_proxies(place: str) -> None:
    made = deployment(place)
    assert list(pod_complaints(pod(made), finish_seconds=FINISH)) == []
    for manifest in (made, triton_deployment(place_values(place)), *envoy_manifests(place_values(place))):
        assert schema_complaints(manifest) == []


def test_the_image_is_that_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {container(deployment(place))["image"] for place in PLACES}
    assert images == {f"registry.example.org/hitfabric/server:{version}"}


def test_the_chart_alone_has_no_drain_nor_liveness() -> None:
    """Why there is a patch: when this fails for a newer chart, the patch can go."""
    found = set(pod_complaints(pod(triton_deployment(place_values("tier2"))), finish_seconds=FINISH))
    assert {
        "livenessProbe does not run /opt/hitfabric/bin/health live",
        "preStop does not mark the server as ending, or does not wait",
        "the pod may run as root",
    } <= found


def _drop(name: str) -> Callable[[Values], object]:
    return lambda made: container(made).pop(name)


def _set(name: str, value: object) -> Callable[[Values], object]:
    return lambda made: container(made).update({name: value})


MUTATIONS: dict[str, tuple[Callable[[Values], object], str]] = {
    "latest": (_set("image", "registry.example.org/hitfabric/server:latest"), "is not pinned"),
    "no tag": (_set("image", "registry.example.org/hitfabric/server"), "is not pinned"),
    "port is no tag": (_set("image", "registry.example.org:5000/hitfabric/server"), "is not pinned"),
    "no liveness": (_drop("livenessProbe"), "livenessProbe"),
    "no readiness": (_drop("readinessProbe"), "readinessProbe"),
    "no startup": (_drop("startupProbe"), "startupProbe"),
    "impatient": (lambda made: container(made)["startupProbe"].update(failureThreshold=3), "gives up"),
    "liveness is readiness": (
        lambda made: container(made)["livenessProbe"]["exec"]["command"].append("ready"),
        "livenessProbe",
    ),
    "no hook": (_drop("lifecycle"), "preStop"),
    "hook of the chart": (
        lambda made: container(made)["lifecycle"]["preStop"]["exec"].update(
            command=["/bin/sh", "-c", "touch", "/tmp/shutdown;", "sleep 60"]
        ),
        "preStop",
    ),
    "short hook": (
        lambda made: container(made)["lifecycle"]["preStop"]["exec"].update(
            command=["/bin/sh", "-c", "touch /tmp/shutdown; sleep 1"]
        ),
        "before readiness",
    ),
    "short grace": (lambda made: pod(made).update(terminationGracePeriodSeconds=45), "killed before"),
    "no limits": (lambda made: container(made)["resources"].pop("limits"), "no limit"),
    "half a device": (lambda made: container(made)["resources"]["limits"].update({FPGA: 2}), "must be equal"),
    "wrong device": (lambda made: container(made)["resources"]["limits"].update({"AMD/fpga": 1}), "no name"),
    "root": (lambda made: pod(made)["securityContext"].update(runAsUser=0), "as root"),
    "maybe root": (lambda made: pod(made)["securityContext"].pop("runAsNonRoot"), "as root"),
    "privileges": (lambda made: container(made)["securityContext"].pop("capabilities"), "privileges"),
    "writable": (lambda made: container(made)["securityContext"].pop("readOnlyRootFilesystem"), "written"),
    "token": (lambda made: pod(made).pop("automountServiceAccountToken"), "token"),
    "lost volume": (lambda made: pod(made)["volumes"].pop(), "differ"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_in_the_deployment_is_found(name: str) -> None:
    change, complaint = MUTATIONS[name]
    made = deployment("on-premises")
    change(made)
    found = list(pod_complaints(pod(made), finish_seconds=FINISH))
    assert any(complaint in each for each in found), found


SCHEMA_MUTATIONS: dict[str, Callable[[Values], object]] = {
    "unknown field": lambda made: pod(made).update(gracePeriod=60),
    "text for a number": lambda made: pod(made).update(terminationGracePeriodSeconds="60"),
    "no selector": lambda made: made["spec"].pop("selector"),
    "no name": lambda made: container(made).pop("name"),
    "probe of two": lambda made: container(made)["livenessProbe"].update(exec=["health"]),
    "unknown volume": lambda made: pod(made)["volumes"][1].update(emptyDirectory={}),
}


@pytest.mark.parametrize("name", SCHEMA_MUTATIONS)
def test_the_schemas_find_what_kubernetes_would_refuse(name: str) -> None:
    made = deployment("on-premises")
    SCHEMA_MUTATIONS[name](made)
    assert len(schema_complaints(made)) == 2, "by the oldest and by the newest"


def test_a_patch_that_no_longer_fits_fails() -> None:
    renamed = triton_deployment(place_values("tier2"))
    pod(renamed)["containers"][0]["lifecycle"] = {}
    with pytest.raises(jsonpatch.JsonPatchException):
        jsonpatch.apply_patch(renamed, patch())


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("place", PLACES)
def test_post_renderer(place: str) -> None:
    """The very script that Helm runs, with kubectl's kustomize: same patch, other objects untouched."""
    rendered = [triton_deployment(place_values(place)), *envoy_manifests(place_values(place))]
    before = copy.deepcopy(rendered)
    script = DEPLOY / "supersonic" / "post-render.sh"
    text = yaml.safe_dump_all(rendered)
    done = subprocess.run([script], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    made = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert made == {each["kind"]: each for each in before} | {"Deployment": deployment(place)}
