"""The SuperSONIC chart as far as our values reach: what keys it has, and the manifests its templates make of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = json.loads((ROOT / "tests" / "deploy" / "fixtures" / "supersonic-0.3.1.json").read_text(encoding="utf-8"))
PLACES = ("on-premises", "tier2")
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}
RESOURCES = "resources"

Values = dict[str, Any]


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """As Helm merges values: maps key by key, everything else as a whole."""
    result = copy.deepcopy(dict(below))
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def place_values(place: str) -> Values:
    """What we set for a place, without the chart's defaults."""
    folder = DEPLOY / "supersonic"
    files = (folder / "values.yaml", folder / f"values-{place}.yaml")
    return merged(*(yaml.safe_load(path.read_text(encoding="utf-8")) for path in files))


def misfits(values: Mapping[str, Any], types: Mapping[str, Any] | None = None, path: str = "") -> Iterator[str]:
    """Values that the chart does not know, or of another type."""
    types = CHART["types"] if types is None else types
    for key, value in values.items():
        where = f"{path}.{key}".lstrip(".")
        kind = types.get(key)
        if kind is None and path.endswith((f"{RESOURCES}.limits", f"{RESOURCES}.requests")) and "/" in key:
            kind = "integer"  # an extended resource: whole devices
        if kind is None:
            yield f"{where} is no value of the chart"
        else:
            yield from _misfit(value, kind, where)


def _misfit(value: object, kind: object, where: str) -> Iterator[str]:
    if isinstance(kind, dict) and isinstance(value, Mapping):
        yield from misfits(value, kind, where)
    elif isinstance(kind, list):
        if not isinstance(value, list):
            yield f"{where} is {type(value).__name__}, not a list"
        elif kind:
            for number, item in enumerate(value):
                yield from _misfit(item, kind[0], f"{where}[{number}]")
    else:
        wanted = KINDS["object" if isinstance(kind, dict) else str(kind)]
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            yield f"{where} is {type(value).__name__}, not {kind if isinstance(kind, str) else 'a map'}"


def _labels(component: str) -> dict[str, str]:
    name = "app.kubernetes.io"
    return {f"{name}/name": "supersonic", f"{name}/instance": "hitfabric", f"{name}/component": component}


def triton_deployment(place_settings: Mapping[str, Any]) -> Values:
    """The Triton Deployment as the template of chart 0.3.1 makes it."""
    triton = merged(CHART["defaults"], place_settings)["triton"]
    repository = triton["modelRepository"]
    mount = {"name": "model-repository", "mountPath": repository["mountPath"], "readOnly": True}
    mount["mountPropagation"] = "HostToContainer"
    probes = {}
    for name, action in (("startupProbe", "httpGet"), ("readinessProbe", "exec")):
        probe = {key: value for key, value in triton[name].items() if key not in ("reset", "command", "httpGet")}
        probe[action] = triton[name]["httpGet"] if action == "httpGet" else {"command": triton[name]["command"]}
        if not triton[name]["reset"]:
            probes[name] = probe
    container = {
        "name": "triton-server",
        "image": triton["image"],
        RESOURCES: triton[RESOURCES],
        "ports": [
            {"name": port["name"], "containerPort": port["port"], "protocol": port["protocol"]}
            for port in triton["service"]["ports"]
        ],
        "volumeMounts": [mount],
        "command": triton["command"],
        "args": triton["args"],
        **probes,
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "touch", "/tmp/shutdown;", "sleep 60"]}}},
    }
    pod = {
        "terminationGracePeriodSeconds": 60,
        "containers": [container],
        "volumes": [
            {"name": "model-repository", "persistentVolumeClaim": {"claimName": repository["pvc"]["claimName"]}}
        ],
        "restartPolicy": "Always",
    }
    pod |= {key: triton[key] for key in ("affinity", "nodeSelector", "tolerations") if triton[key]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hitfabric-triton", "labels": _labels("triton")},
        "spec": {
            "replicas": triton["replicas"],
            "selector": {"matchLabels": _labels("triton")},
            "template": {"metadata": {"labels": _labels("triton")}, "spec": pod},
        },
    }


def envoy_manifests(place_settings: Mapping[str, Any]) -> list[Values]:
    """The Service of Envoy, and its Ingress where there is one, as the templates of chart 0.3.1 make them."""
    envoy = merged(CHART["defaults"], place_settings)["envoy"]
    service: Values = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hitfabric", "labels": _labels("envoy")},
        "spec": {"type": envoy["service"]["type"], "selector": _labels("envoy"), "ports": envoy["service"]["ports"]},
    }
    ingress = envoy["ingress"]
    if not ingress["enabled"]:
        return [service]
    backend = {"service": {"name": "hitfabric", "port": {"number": 8001}}}
    paths = [{"backend": backend, "path": "/", "pathType": "ImplementationSpecific"}]
    return [
        service,
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "hitfabric-ingress-grpc", "annotations": ingress["annotations"]},
            "spec": {
                "ingressClassName": ingress["ingressClassName"],
                "tls": [{"hosts": [ingress["hostName"]]}],
                "rules": [{"host": ingress["hostName"], "http": {"paths": paths}}],
            },
        },
    ]
