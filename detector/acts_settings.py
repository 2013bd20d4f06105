"""Settings of the seeding and the combinatorial Kalman filter of ACTS on the Generic detector."""

from __future__ import annotations

from pydantic import Field, model_validator

from ..core import StrictModel
from .event import PIXEL_VOLUMES


class ActsSeeding(StrictModel):
    """Triplets of spacepoints that start tracks (grid triplet seeding of ACTS).

    Attributes:
        volumes: Volumes whose hits are spacepoints.
        pt_min: Smallest transverse momentum searched for, GeV.
        eta_max: Largest |eta| searched for.
        impact_max: Largest transverse impact parameter, mm.
        vertex_z_max: Largest |z| on the beam line that a seed may point to, mm.
        r_max: Largest radius of a spacepoint, mm.
        z_max: Largest |z| of a spacepoint, mm.
        middle_r_min: Smallest radius of the middle spacepoint, mm. The innermost discs need less than ACTS's own 60 mm.
        middle_r_max: Largest radius of the middle spacepoint, mm.
        separation_min: Smallest difference in radius of neighbouring spacepoints of a seed, mm.
        separation_max: Largest such difference, mm.
        scattering_sigmas: Standard deviations of multiple scattering allowed.
        radiation_lengths: Material that a seed crosses, in radiation lengths.
        seeds_per_middle: Further seeds kept for each middle spacepoint, the best ones.
    """

    volumes: tuple[int, ...] = Field(default=PIXEL_VOLUMES, min_length=1)
    pt_min: float = Field(default=0.9, gt=0, allow_inf_nan=False)
    eta_max: float = Field(default=4.0, gt=0, le=6)
    impact_max: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    vertex_z_max: float = Field(default=250.0, gt=0, allow_inf_nan=False)
    r_max: float = Field(default=200.0, gt=0, allow_inf_nan=False)
    z_max: float = Field(default=2000.0, gt=0, allow_inf_nan=False)
    middle_r_min: float = Field(default=20.0, ge=0, allow_inf_nan=False)
    middle_r_max: float = Field(default=180.0, gt=0, allow_inf_nan=False)
    separation_min: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    separation_max: float = Field(default=150.0, gt=0, allow_inf_nan=False)
    scattering_sigmas: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    radiation_lengths: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    seeds_per_middle: int = Field(default=2, ge=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> ActsSeeding:
        if self.middle_r_max <= self.middle_r_min or self.separation_max <= self.separation_min:
            raise ValueError("a largest value is not above its smallest value")
        return self


class ActsTrackFinding(StrictModel):
    """The combinatorial Kalman filter, and the selection of its tracks.

    Attributes:
        chi2_measurement: Largest chi2 of a hit that joins a track.
        chi2_outlier: Largest chi2 of a hit that is kept as an outlier; no hit below it makes a hole.
        branches: Hits per surface that may join, each on a branch of its own.
        two_way: Extend inwards as well, after the way out.
        deduplicate_seeds: Skip a seed all of whose hits are on an earlier track.
        stay_on_seed: Take the hits of the seed where they are.
        volumes: Volumes in which tracks are extended; empty for all.
        pt_min: Smallest fitted transverse momentum of a track, GeV.
        minimum_hits: Least number of hits of a track.
        maximum_holes: Largest number of surfaces crossed without a hit.
        maximum_outliers: Largest number of outliers.
        too_many_shared_hits: A track that shares this many hits or more with other tracks is removed: greedily, the one
            with the largest fraction of shared hits first, among equals that with the largest chi2.
    """

    chi2_measurement: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    chi2_outlier: float = Field(default=25.0, gt=0, allow_inf_nan=False)
    branches: int = Field(default=1, ge=1, le=100)
    two_way: bool = True
    deduplicate_seeds: bool = True
    stay_on_seed: bool = True
    volumes: tuple[int, ...] = ()
    pt_min: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    minimum_hits: int = Field(default=5, ge=3)
    maximum_holes: int = Field(default=3, ge=0)
    maximum_outliers: int = Field(default=3, ge=0)
    too_many_shared_hits: int = Field(default=2, ge=1)


class ActsReconstructionConfig(StrictModel):
    """How ACTS reconstructs tracks.

    Attributes:
        seeding: Seeds.
        finding: Kalman filter and selection.
        pixel_finding: The same, for events that have no hit outside the pixel detector. There most barrel tracks have
            four hits, and strips that were not read out would count as holes.
        plane_tolerance: Largest distance of a hit from the plane of its module, mm; more is another detector.
        workers: Number of processes; None takes one per core, never more than there are events.
    """

    seeding: ActsSeeding = ActsSeeding()
    finding: ActsTrackFinding = ActsTrackFinding()
    pixel_finding: ActsTrackFinding = ActsTrackFinding(
        volumes=PIXEL_VOLUMES, minimum_hits=4, maximum_holes=0, maximum_outliers=1
    )
    plane_tolerance: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    workers: int | None = Field(default=None, ge=1)
