"""Settings of devices, warm-up, and the limit of a worker's memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError
from hitfabric.fpga_backend import device_settings
from hitfabric.fpga_backend.device_checks import Checks
from hitfabric.fpga_backend.device_names import DEVICES
from hitfabric.fpga_backend.device_settings import DeviceSettings
from hitfabric.fpga_backend.served import NetworkModel, TrackingModel, load_model


def test_settings_are_parsed() -> None:
    texts = ["threads=2", "check_share=0.5", "vectors=/a=b", "xclbin=a.xclbin", "card=3b:00.1", "memory_limit_mb=10"]
    found = DeviceSettings.parse(texts)
    assert (found.threads, found.check_share, found.memory_limit_mb) == (2, 0.5, 10)
    assert (found.vectors, found.xclbin, found.card) == (Path("/a=b"), Path("a.xclbin"), "3b:00.1")
    assert DeviceSettings.parse([]) == DeviceSettings()


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (["threads"], "'threads' is malformed"),
        (["=2"], "'=2' is malformed"),
        (["threads=1", "threads=1"], "threads is given twice"),
        (["colour=red"], "colour"),
        (["threads=0"], "threads"),
        (["threads=two", "check_share=0"], "threads: .*check_share"),
        (["check_share=nan"], "check_share"),
        (["check_share=1.5"], "check_share"),
        (["card=third"], "card"),
        (["run_rows=0"], "run_rows"),
        (["memory_limit_mb="], "memory_limit_mb"),
    ],
)
def test_wrong_settings_are_named(texts: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        DeviceSettings.parse(texts)


def test_settings_of_another_device_are_errors() -> None:
    with pytest.raises(ConfigError, match="device native has no setting check_share, xclbin"):
        DeviceSettings.parse(["xclbin=a", "check_share=0.1", "threads=1"]).check_device("native")
    DeviceSettings.parse(["answers=xrt", "xclbin=a", "check_share=0.1"]).check_device("shadow")
    with pytest.raises(ConfigError, match="device shadow has no setting xclbin"):
        DeviceSettings.parse(["xclbin=a"]).check_device("shadow")
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        DeviceSettings().check_device("gpu")
    used = frozenset[str]().union(*device_settings.USED_BY.values())
    assert used == set(DeviceSettings.model_fields)
    assert set(device_settings.USED_BY) == set(DEVICES)


@pytest.mark.parametrize("device", ["native", "numpy", "golden"])
def test_models_are_warm_and_tell_what_the_device_did(
    device: str, chain_directory: Path, make_hits: Callable[..., np.ndarray]
) -> None:
    network = load_model(chain_directory / "interaction_network", device)
    assert isinstance(network, NetworkModel)
    assert network.device_seconds == 0, "the warm-up does not count"
    chain = load_model(chain_directory, device, DeviceSettings(threads=1))
    assert isinstance(chain, TrackingModel)
    assert chain.chain.threads == 1
    hits = make_hits(50)
    found = chain.run({"FEATURES": hits, "EVENT_ID": np.array([12])})
    assert chain.device_seconds > 0
    assert chain.take_checks() == network.take_checks() == Checks()
    assert found["LABELS"].shape == (50,)
    assert found["EDGE_INDEX"].shape == (len(found["SCORES"]), 2)
    assert found["EVENT_ID"].tolist() == [12]
    assert "EVENT_ID" not in chain.run({"FEATURES": hits})


LIMITED = """
import sys
import numpy as np
from pathlib import Path
from hitfabric.core import GraphError
from hitfabric.fpga_backend.device_settings import DeviceSettings, limit_memory
from hitfabric.fpga_backend.served import load_model

settings = DeviceSettings.parse(["memory_limit_mb=100", "threads=1"])
model = load_model(Path(sys.argv[1]), sys.argv[2], settings)
large = np.zeros((5_000_000, 6), np.float32)  # 120 MB, and 160 MB of answer
small = np.zeros((1000, 6), np.float32)
limit_memory(settings)
for _ in range(3):
    try:
        model.run({"features": large})
    except (MemoryError, GraphError) as error:
        print("refused", type(error).__name__)
        try:
            kept = np.zeros(300 << 20, np.uint8)
        except MemoryError:
            print("MemoryError")
    print(len(model.run({"features": small})["embedding"]))
"""


@pytest.mark.parametrize("device", ["native", "numpy"])
def test_a_request_beyond_the_memory_fails_alone(device: str, chain_directory: Path) -> None:
    model = chain_directory / "embedding"
    command = [sys.executable, "-c", LIMITED, str(model), device]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")[:-1]
    assert [line for line in lines if not line.startswith("refused")] == ["MemoryError", "1000"] * 3
    assert sum(line.startswith("refused") for line in lines) == 3
