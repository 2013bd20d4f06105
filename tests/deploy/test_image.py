"""The server's image: the recipe's facts, its scripts against a stand-in, and against the real server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hitfabric.fpga_backend import build_backend, write_repository
from hitfabric.fpga_backend.ports import free_ports
from hitfabric.fpga_backend.triton_install import find_triton
from hitfabric.models.zoo import zoo_path
from support.deployment_checks import dockerfile_complaints
from support.processes import eventually
from support.stand_in_server import STAND_IN
from support.supersonic import DEPLOY, ROOT, place_values

SERVE, HEALTH = DEPLOY / "image" / "serve.sh", DEPLOY / "image" / "health.sh"
RECIPE = (DEPLOY / "Dockerfile").read_text()
ROOMS = {
    name.removeprefix("hitfabric.")
    for name in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
}


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """Environment of the scripts, with the stand-in as server."""
    stand_in = tmp_path / "tritonserver"
    stand_in.write_text(f"#!{sys.executable}\n{STAND_IN}")
    stand_in.chmod(0o755)
    (tmp_path / "repository").mkdir()
    return os.environ | {
        "TRITONSERVER": str(stand_in),
        "HITFABRIC_MODELS": str(tmp_path / "repository"),
        "HITFABRIC_SHUTDOWN": str(tmp_path / "shutdown"),
        "HITFABRIC_DRAIN_SECONDS": "1",
        "NOTES": str(tmp_path / "notes"),
    }


@contextmanager
def serving(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([SERVE, *arguments], env=environment, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def health(environment: dict[str, str], state: str) -> int:
    return subprocess.run([HEALTH, state], env=environment, capture_output=True, timeout=10, check=False).returncode


def test_recipe() -> None:
    assert list(dockerfile_complaints(RECIPE, rooms=ROOMS)) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ((":26.04-py3", ":latest"), "is not pinned"),
        ((":26.04-py3", ""), "is not pinned"),
        ((":26.04-py3 AS", ":25.03-py3 AS"), "differ"),
        ((":26.04-py3", ":26.04-py3-min"), "not the vendor's server"),
        (("USER 1000:1000", "USER root"), "as root"),
        (("USER 1000:1000\n", ""), "as root"),
        (("HEALTHCHECK", "# HEALTHCHECK"), "no HEALTHCHECK"),
        (("ENTRYPOINT", "CMD"), "no ENTRYPOINT"),
        (("/opt/tritonserver/backends/hitfabric\n", "/opt/tritonserver/backend/hitfabric\n"), "the backend is not"),
        (("COPY detector detector\n", ""), "not copied: ['detector']"),
        (("requirements.lock .", "requirements.lock .[all]"), "an extra is installed"),
    ],
)
def test_a_fault_in_the_recipe_is_found(change: tuple[str, str], complaint: str) -> None:
    assert change[0] in RECIPE
    found = list(dockerfile_complaints(RECIPE.replace(*change), rooms=ROOMS))
    assert any(complaint in each for each in found), found


def test_what_is_copied_is_sent_to_the_builder() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", RECIPE, flags=re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert {source for source in sources if source not in sent and str(Path(source).parent) not in sent} == set()
    assert all((ROOT / source).exists() for source in sources)


def test_the_package_needs_no_torch() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert not [each for each in needed if re.match(r"(torch|brevitas|hls4ml|nvidia|tritonclient)\b", each)]


def test_drain_comes_before_the_end(place: dict[str, str]) -> None:
    port = free_ports(1)[0]
    place["HITFABRIC_HTTP"] = f"127.0.0.1:{port}"
    with serving(place, f"--http-port={port}", "--log-verbose=1") as process:
        assert eventually(lambda: health(place, "ready") == 0, seconds=60)
        assert health(place, "live") == 0
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: health(place, "ready") != 0, seconds=1)
        assert health(place, "live") == 0, "ending is not dying"
        assert process.wait(20) == 0
        assert time.monotonic() - start >= 1.5
    started, *rest = Path(place["NOTES"]).read_text().splitlines()
    assert rest == ["TERM marked=True watched=False", "ended"]
    for argument in (f"--model-repository={place['HITFABRIC_MODELS']}", "--exit-timeout-secs=30", "--log-verbose=1"):
        assert argument in started.split()


def test_a_hook_that_has_waited_is_not_waited_for_again(place: dict[str, str]) -> None:
    place |= {"HITFABRIC_DRAIN_SECONDS": "3600", "STATUS": "7"}
    port = free_ports(1)[0]
    with serving(place | {"HITFABRIC_HTTP": f"127.0.0.1:{port}"}, f"--http-port={port}") as process:
        assert eventually(lambda: health(place | {"HITFABRIC_HTTP": f"127.0.0.1:{port}"}, "ready") == 0, seconds=60)
        Path(place["HITFABRIC_SHUTDOWN"]).touch()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 7, "the server's own status"


def test_a_server_that_dies_is_not_hidden(place: dict[str, str]) -> None:
    with serving(place | {"DIES": "3"}, "--http-port=1") as process:
        assert process.wait(20) == 3
    with serving(place | {"HITFABRIC_MODELS": "/nowhere"}) as process:
        assert process.wait(20) == 2
    with serving(place | {"TRITONSERVER": "/nowhere"}) as process:
        assert process.wait(20) == 127


def test_health_of_nobody(place: dict[str, str]) -> None:
    nobody = place | {"HITFABRIC_HTTP": f"127.0.0.1:{free_ports(1)[0]}"}
    assert health(nobody, "ready") not in (0, 2)
    assert health(nobody, "well") == 2


@pytest.mark.slow
def test_the_real_server_drains(place: dict[str, str], tmp_path: Path) -> None:
    """The wheel's server under the image's scripts: flags known, metrics there, a request in the drain answered."""
    grpcclient = pytest.importorskip("tritonclient.grpc")
    repository = write_repository(tmp_path / "real", zoo_path("event-pixel"))
    grpc, http, metrics = free_ports(3)
    place |= {"TRITONSERVER": str(find_triton()), "HITFABRIC_MODELS": str(repository), "HITFABRIC_DRAIN_SECONDS": "4"}
    place["HITFABRIC_HTTP"] = f"127.0.0.1:{http}"
    ports = (f"--grpc-port={grpc}", f"--http-port={http}", f"--metrics-port={metrics}")
    addresses = tuple(f"--{each}-address=127.0.0.1" for each in ("grpc", "http", "metrics"))
    flags = place_values("tier2")["triton"]["args"]
    with serving(place, f"--backend-directory={build_backend()}", *addresses, *ports, *flags) as process:
        assert eventually(lambda: process.poll() is not None or health(place, "ready") == 0, seconds=240)
        client = grpcclient.InferenceServerClient(f"127.0.0.1:{grpc}")
        features = np.random.default_rng(0).uniform(30, 150, size=(50, 3)).astype(np.float32)
        tensor = grpcclient.InferInput("FEATURES", features.shape, "FP32")
        tensor.set_data_from_numpy(features)
        before = client.infer("tracking", [tensor]).as_numpy("LABELS")
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        for name in re.findall(r"nv_\w+", place_values("tier2")["serverLoadMetric"]):
            assert re.search(rf'^{name}{{[^}}]*model="tracking"', text, flags=re.MULTILINE), name
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: health(place, "ready") != 0, seconds=3)
        np.testing.assert_array_equal(client.infer("tracking", [tensor]).as_numpy("LABELS"), before)
        client.close()
        assert process.wait(60) == 0
