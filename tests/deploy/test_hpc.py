"""Without Kubernetes: the Apptainer definition's facts, and the Slurm script run with a stand-in for apptainer."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hitfabric.fpga_backend import build_backend, write_repository
from hitfabric.fpga_backend.triton_install import find_triton
from hitfabric.models.zoo import zoo_path
from support.deployment_checks import apptainer_complaints, apptainer_sections
from support.processes import eventually
from support.stand_in_server import STAND_IN
from support.supersonic import DEPLOY, place_values

DEFINITION = (DEPLOY / "hpc" / "hitfabric.def").read_text()
SCRIPT = DEPLOY / "hpc" / "serve.sbatch"

APPTAINER = """#!/usr/bin/env bash
# Stands in for apptainer: notes its options, and runs the command here, with the files that would be bound.
printf '%s\\n' "$*" >>"$NOTES.apptainer"
shift
while [[ $1 == --* ]]; do
  case $1 in --bind | --env) shift 2 ;; *) shift ;; esac
done
shift # the image
set -- "${@/#--grpc-server-cert=*/--grpc-server-cert=$HITFABRIC_CERTIFICATES/server.crt}"
set -- "${@/#--grpc-server-key=*/--grpc-server-key=$HITFABRIC_CERTIFICATES/server.key}"
set -- "${@/#--grpc-root-cert=*/--grpc-root-cert=$HITFABRIC_CERTIFICATES/ca.crt}"
case $1 in
  */python) shift; exec "$PYTHON" "$@" ;;
  */serve) shift; exec "$SERVE" "$@" ;;
esac
exit 64
"""


def test_definition() -> None:
    assert list(apptainer_complaints(DEFINITION)) == []
    fields, _ = apptainer_sections(DEFINITION)
    assert fields["From"] == place_values("tier2")["triton"]["image"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ((":0.1.0", ":latest"), "not pinned"),
        ((":0.1.0", ""), "not pinned"),
        (("Bootstrap: docker", "Bootstrap: library"), "no image"),
        (("bin/serve", "bin/tritonserver"), "does not run serve"),
        (("backends/hitfabric/", "backends/other/"), "no test that the backend"),
    ],
)
def test_a_fault_in_the_definition_is_found(change: tuple[str, str], complaint: str) -> None:
    assert change[0] in DEFINITION
    found = list(apptainer_complaints(DEFINITION.replace(*change)))
    assert any(complaint in each for each in found), found


def test_the_environment_is_that_of_the_image() -> None:
    """Apptainer takes the image's environment from the definition where --cleanenv drops it."""
    _, sections = apptainer_sections(DEFINITION)
    image = re.search(r"^ENV (.*?[^\\])$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert image is not None
    wanted = set(image[1].replace("\\\n", " ").split())
    assert {line.strip().removeprefix("export ") for line in sections["environment"].strip().splitlines()} == wanted


def test_slurm_gives_time_to_drain() -> None:
    text = SCRIPT.read_text()
    warning = re.search(r"^#SBATCH --signal=B:TERM@(\d+)$", text, flags=re.MULTILINE)
    serve = (DEPLOY / "image" / "serve.sh").read_text()
    needed = [re.search(rf"{name}:-(\d+)", serve) for name in ("HITFABRIC_DRAIN_SECONDS", "HITFABRIC_EXIT_SECONDS")]
    assert warning is not None and all(needed)
    assert int(warning[1]) > sum(int(each[1]) for each in needed if each)


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """Environment of the script, with stand-ins for apptainer and the server."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("apptainer", APPTAINER), ("tritonserver", f"#!{sys.executable}\n{STAND_IN}")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ("models", "certificates"):
        (tmp_path / name).mkdir()
    for name in ("server.crt", "server.key", "ca.crt"):
        (tmp_path / "certificates" / name).write_text("")
    return os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "SERVE": str(DEPLOY / "image" / "serve.sh"),
        "NOTES": str(tmp_path / "notes"),
        "WATCHED": str(tmp_path / "endpoints" / "4711"),
        "TRITONSERVER": str(programs / "tritonserver"),
        "TMPDIR": str(tmp_path),
        "SLURM_JOB_ID": "4711",
        "HITFABRIC_IMAGE": "hitfabric.sif",
        "HITFABRIC_MODELS": str(tmp_path / "models"),
        "HITFABRIC_ENDPOINTS": str(tmp_path / "endpoints"),
        "HITFABRIC_CERTIFICATES": str(tmp_path / "certificates"),
        "HITFABRIC_SHUTDOWN": str(tmp_path / "shutdown"),
        "HITFABRIC_DRAIN_SECONDS": "1",
    }


@contextmanager
def job(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["bash", SCRIPT], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(endpoint: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a job says where its server is."""
    assert eventually(lambda: endpoint.exists() or process.poll() is not None, seconds=240)
    assert process.poll() is None


def test_the_endpoint_is_there_while_the_server_is_ready(place: dict[str, str]) -> None:
    endpoint = Path(place["WATCHED"])
    with job(place) as process:
        wait_for(endpoint, process)
        host, _, port = endpoint.read_text().strip().rpartition(":")
        assert host == subprocess.run(["hostname", "-f"], capture_output=True, text=True, check=True).stdout.strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    notes = Path(place["NOTES"]).read_text().splitlines()
    assert f"--grpc-port={port}" in notes[0] and "--grpc-use-ssl-mutual=true" in notes[0]
    assert "--http-address=127.0.0.1" in notes[0] and "--metrics-address=127.0.0.1" in notes[0]
    assert notes[1:] == ["TERM marked=True watched=False", "ended"], (
        "the endpoint goes first, then the drain, then the end"
    )
    options = Path(f"{place['NOTES']}.apptainer").read_text()
    assert f"--bind {place['HITFABRIC_MODELS']}:/models/repository:ro" in options
    assert "--contain --cleanenv" in options


def test_a_server_that_dies_leaves_no_endpoint(place: dict[str, str]) -> None:
    with job(place | {"DIES": "5"}) as process:
        assert process.wait(30) == 5
    assert list(Path(place["HITFABRIC_ENDPOINTS"]).iterdir()) == []


def test_a_server_that_is_never_ready_is_ended(place: dict[str, str]) -> None:
    """Its port answers, but never with health: another program has taken it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        busy = silent.getsockname()[1]
        python = Path(place["PATH"].split(os.pathsep)[0]) / "python"
        python.write_text(f"#!/bin/sh\necho 1 {busy} 2\n")
        python.chmod(0o755)
        Path(place["TRITONSERVER"]).write_text("#!/bin/sh\nexec sleep 600\n")
        with job(place | {"PYTHON": str(python), "HITFABRIC_START_SECONDS": "1"}) as process:
            assert process.wait(60) != 0
            assert process.stderr is not None and "not ready in time" in process.stderr.read()
    assert list(Path(place["HITFABRIC_ENDPOINTS"]).iterdir()) == []


@pytest.mark.parametrize(
    "name", ["HITFABRIC_IMAGE", "HITFABRIC_MODELS", "HITFABRIC_ENDPOINTS", "HITFABRIC_CERTIFICATES"]
)
def test_what_is_missing_is_named(place: dict[str, str], name: str) -> None:
    del place[name]
    with job(place) as process:
        assert process.wait(30) != 0
        assert process.stderr is not None and name in process.stderr.read()


def test_certificates_are_needed(place: dict[str, str]) -> None:
    (Path(place["HITFABRIC_CERTIFICATES"]) / "ca.crt").unlink()
    with job(place) as process:
        assert process.wait(30) == 2
        assert process.stderr is not None and "ca.crt cannot be read" in process.stderr.read()


def _certificates(folder: Path) -> None:
    """An authority, and a server and a client that it vouches for."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True, timeout=60)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority", "-days", "2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signed)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_real_server_wants_a_certificate_of_its_clients(place: dict[str, str], tmp_path: Path) -> None:
    grpcclient = pytest.importorskip("tritonclient.grpc")
    from tritonclient.utils import InferenceServerException

    certificates = Path(place["HITFABRIC_CERTIFICATES"])
    _certificates(certificates)
    serve = tmp_path / "serve"
    serve.write_text(f'#!/bin/sh\nexec "{place["SERVE"]}" "--backend-directory={build_backend()}" "$@"\n')
    serve.chmod(0o755)
    place |= {"TRITONSERVER": str(find_triton()), "SERVE": str(serve)}
    place["HITFABRIC_MODELS"] = str(write_repository(tmp_path / "real", zoo_path("event-pixel")))
    endpoint = Path(place["WATCHED"])
    with job(place) as process:
        wait_for(endpoint, process)
        url = f"127.0.0.1:{endpoint.read_text().strip().rpartition(':')[2]}"
        authority, key, own = (str(certificates / name) for name in ("ca.crt", "client.key", "client.crt"))
        known = grpcclient.InferenceServerClient(
            url, ssl=True, root_certificates=authority, private_key=key, certificate_chain=own
        )
        assert known.is_model_ready("tracking")
        for stranger in (
            grpcclient.InferenceServerClient(url, ssl=True, root_certificates=authority),
            grpcclient.InferenceServerClient(url),
        ):
            with pytest.raises(InferenceServerException):
                stranger.is_model_ready("tracking", client_timeout=5)
            stranger.close()
        known.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not endpoint.exists()
