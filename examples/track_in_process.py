"""Find the tracks of events in process, with shipped weights.

    python examples/track_in_process.py DIRECTORY [--limit 2]

DIRECTORY holds events in TrackML CSV layout, for instance from `hitfabric simulate`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hitfabric.detector import read_events
from hitfabric.fpga_backend import Chain
from hitfabric.models.zoo import zoo_path


def main() -> None:
    """Print the number of tracks and the time of each stage, event by event."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--limit", type=int, default=2)
    arguments = parser.parse_args()
    chain = Chain.load(zoo_path("event-pixel"))
    for event in read_events(arguments.directory, limit=arguments.limit):
        hits = event.select(volumes=chain.config.volumes or None)
        result = chain.track(hits.features())
        stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.seconds.items())
        print(f"{event.name}: {len(result.labels)} hits, {result.labels.max(initial=-1) + 1} tracks ({stages})")


if __name__ == "__main__":
    main()
