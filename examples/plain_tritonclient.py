"""Find tracks through a running server, with nothing but numpy and tritonclient.

    hitfabric serve                                   # in another terminal
    pip install numpy "tritonclient[grpc]"            # where hitfabric is not installed
    python examples/plain_tritonclient.py event000009030-hits.csv.gz [--url 127.0.0.1:8001] [--model tracking]

The contract: `FEATURES` FP32 [hits, 3] (r in mm, phi in rad, z in mm) gives `LABELS` INT64 [hits], -1 for no track.
"""

from __future__ import annotations

import argparse

import numpy as np
import tritonclient.grpc as triton


def main() -> None:
    """Send the pixel hits of one event and print how many tracks came back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hits", help="hits file in TrackML CSV layout")
    parser.add_argument("--url", default="127.0.0.1:8001")
    parser.add_argument("--model", default="tracking", help="as the server calls it (default: tracking)")
    arguments = parser.parse_args()
    x, y, z, volume = np.loadtxt(arguments.hits, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4), unpack=True)
    features = np.stack([np.hypot(x, y), np.arctan2(y, x), z], axis=1)[np.isin(volume, (7, 8, 9))].astype(np.float32)
    tensor = triton.InferInput("FEATURES", list(features.shape), "FP32")
    tensor.set_data_from_numpy(features)
    labels = triton.InferenceServerClient(arguments.url).infer(arguments.model, [tensor]).as_numpy("LABELS")
    assert labels is not None
    print(f"{len(labels)} hits, {labels.max(initial=-1) + 1} tracks, {np.mean(labels >= 0):.0%} of the hits on a track")


if __name__ == "__main__":
    main()
