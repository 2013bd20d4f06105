"""What a manifest, an image recipe or a script must say, as complaints: an empty list is right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import kubernetes_validate
from dockerfile_parse import DockerfileParser

IMAGE = re.compile(r"^(?P<name>[\w./-]+(?::\d+/[\w./-]+)?):(?P<tag>[\w.-]+)$|^.+@sha256:[0-9a-f]{64}$")
NOTHING = frozenset({"latest", ""})
KUBERNETES = ("1.28", "1.37")
"""Oldest and newest schemas that manifests are held to."""
HEALTH = "/opt/hitfabric/bin/health"
BACKEND = "/opt/tritonserver/backends/hitfabric"


def schema_complaints(manifest: dict[str, Any]) -> list[str]:
    """What the Kubernetes schemas say, unknown fields included."""
    found = []
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{version}: {'.'.join(map(str, error.path))}: {error.message}")
    return found


def image_complaints(image: str) -> Iterator[str]:
    """An image must be pinned by a version or a digest."""
    found = IMAGE.match(image)
    if found is None or found["tag"] in NOTHING:
        yield f"image {image} is not pinned"


def pod_complaints(pod: Mapping[str, Any], *, finish_seconds: int) -> Iterator[str]:
    """What a serving pod must have: pinned image, probes, limits, drain, no privileges.

    Args:
        pod: Its spec.
        finish_seconds: Time that the server gives its requests when told to end.
    """
    (container,) = pod["containers"]
    yield from image_complaints(container["image"])
    yield from _probe_complaints(container)
    yield from _resource_complaints(container.get("resources", {}))
    yield from _drain_complaints(pod, container, finish_seconds)
    yield from privilege_complaints(pod)


def privilege_complaints(pod: Mapping[str, Any]) -> Iterator[str]:
    """A pod must run as an ordinary user who cannot become another, on a read-only file system."""
    (container,) = pod["containers"]
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
        yield "the pod may run as root"
    own = container.get("securityContext", {})
    if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
        yield "the container keeps privileges"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "the root file system can be written"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod holds a token of the cluster"
    mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    if mounts != volumes:
        yield f"volumes {sorted(volumes)} and mounts {sorted(mounts)} differ"


def _probe_complaints(container: Mapping[str, Any]) -> Iterator[str]:
    for name, state in (("livenessProbe", "live"), ("readinessProbe", "ready")):
        if container.get(name, {}).get("exec", {}).get("command") != [HEALTH, state]:
            yield f"{name} does not run {HEALTH} {state}"
    startup = container.get("startupProbe")
    if startup is None or startup["httpGet"]["path"] != "/v2/health/ready":
        yield "startupProbe does not ask for readiness"
    elif startup["periodSeconds"] * startup["failureThreshold"] < 300:
        yield "startupProbe gives up before the networks are compiled"


def _resource_complaints(resources: Mapping[str, Any]) -> Iterator[str]:
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for name in ("cpu", "memory"):
        if name not in limits or name not in requests:
            yield f"no limit or request of {name}"
    for name in {*limits, *requests}:
        if "/" in name and limits.get(name) != requests.get(name):
            yield f"{name}: limit and request of a device must be equal"
        domain, _, rest = name.rpartition("/")
        if domain and (not re.fullmatch(r"[a-z0-9.-]+", domain) or not re.fullmatch(r"[\w.-]{1,63}", rest)):
            yield f"{name} is no name of a resource"


def _drain_complaints(pod: Mapping[str, Any], container: Mapping[str, Any], finish_seconds: int) -> Iterator[str]:
    hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    waits = re.search(r"touch /tmp/shutdown; sleep (\d+)$", hook[2]) if len(hook) == 3 else None
    if waits is None:
        yield "preStop does not mark the server as ending, or does not wait"
        return
    probe = container.get("readinessProbe", {})
    if probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3) > int(waits[1]):
        yield "preStop ends before readiness has failed"
    if int(waits[1]) + finish_seconds >= pod.get("terminationGracePeriodSeconds", 30):
        yield "the pod is killed before its requests are finished"


def dockerfile_complaints(text: str, *, rooms: set[str]) -> Iterator[str]:
    """What the image recipe must say: pinned bases, the backend's place, an ordinary user, a health check.

    Args:
        text: The Dockerfile.
        rooms: Folders of the package that must be copied.
    """
    parser = DockerfileParser(fileobj=BytesIO(text.encode()))
    steps = [(step["instruction"], step["value"]) for step in parser.structure]
    bases = [value.split()[0] for instruction, value in steps if instruction == "FROM"]
    for base in bases:
        yield from image_complaints(base)
        if not base.startswith("nvcr.io/nvidia/tritonserver:") or base.endswith("-min"):
            yield f"{base} is not the vendor's server"
    if len(set(bases)) != 1 or len(bases) < 2:
        yield "build stage and server differ"
    last = max(number for number, (instruction, _) in enumerate(steps) if instruction == "FROM")
    final = steps[last:]
    users = [value for instruction, value in final if instruction == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        yield "the server runs as root"
    for wanted in ("HEALTHCHECK", "ENTRYPOINT", "STOPSIGNAL"):
        if wanted not in [instruction for instruction, _ in final]:
            yield f"no {wanted}"
    if not any(i == "COPY" and v.startswith("--from=build") and v.endswith(f" {BACKEND}") for i, v in final):
        yield "the backend is not where the server looks for it"
    copied = {value.split()[0] for instruction, value in steps[:last] if instruction == "COPY"}
    if rooms - copied:
        yield f"not copied: {sorted(rooms - copied)}"
    if any(re.search(r"pip install.*\.\[", value) for _, value in steps):
        yield "an extra is installed"


def apptainer_sections(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Header fields and sections of an Apptainer definition."""
    header, *parts = re.split(r"^%(?=\w)", text, flags=re.MULTILINE)
    fields = dict(line.split(": ", 1) for line in header.splitlines() if line.strip())
    return fields, {part.split(maxsplit=1)[0]: part.split(maxsplit=1)[1] for part in parts}


def apptainer_complaints(text: str) -> Iterator[str]:
    """What the definition must say: a pinned base, what it runs, and a test of what the base brings."""
    fields, sections = apptainer_sections(text)
    if fields.get("Bootstrap") != "docker":
        yield "the base is no image"
    yield from image_complaints(fields.get("From", ""))
    if sections.get("runscript", "").strip() != 'exec /opt/hitfabric/bin/serve "$@"':
        yield "the container does not run serve"
    if f"{BACKEND}/libtriton_hitfabric.so" not in sections.get("test", ""):
        yield "no test that the backend is there"
