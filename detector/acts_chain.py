"""Track finding of ACTS as one sequence: measurements, spacepoints, seeds, combinatorial Kalman filter, ambiguities.

This module imports pyacts; import it only where pyacts is known to be installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import acts
import numpy as np
from acts import examples
from numpy.typing import NDArray

from .acts_modules import ActsModules
from .acts_settings import ActsReconstructionConfig, ActsTrackFinding
from .event import PIXEL_VOLUMES, Event
from .simulation_acts import FIELD_TESLA
from .track_builder import NO_TRACK

QUIET = acts.logging.FATAL
MEASUREMENTS, SPACEPOINTS, SEEDS, PARAMETERS, TRACKS, UNIQUE = (
    "measurements",
    "spacepoints",
    "seeds",
    "parameters",
    "tracks",
    "unique_tracks",
)
"""Names under which the steps find each other's results."""


@dataclass(kw_only=True)
class FoundTracks:
    """Tracks as lists of hits, filled while ACTS runs.

    Attributes:
        hits: Hits of each track.
        chi2: Sum of chi2 over the hits of each track.
    """

    hits: list[list[int]] = field(default_factory=list)
    chi2: list[float] = field(default_factory=list)

    def labels(self, hits: int) -> NDArray[np.int64]:
        """Track of each hit; a shared hit belongs to the track with more hits, then to that with the lower chi2.

        Args:
            hits: Number of hits of the event.

        Returns:
            int64 [hits], 0 up to the number of tracks, `NO_TRACK` for none.
        """
        lengths = np.array([len(track) for track in self.hits], dtype=np.int64)
        labels = np.full(hits, NO_TRACK, dtype=np.int64)
        for track in np.lexsort((-np.array(self.chi2), lengths)):  # the best comes last and takes what it has
            labels[self.hits[track]] = track
        return labels


class ActsChain:
    """Geometry and field of ACTS, started once and then used for many events.

    Args:
        config: Settings.
    """

    def __init__(self, config: ActsReconstructionConfig) -> None:
        self._config = config
        quiet = examples.GenericDetector.Config()
        quiet.logLevel = quiet.volumeLogLevel = quiet.layerLogLevel = quiet.surfaceLogLevel = QUIET
        self._detector = examples.GenericDetector(quiet)
        self._geometry = self._detector.trackingGeometry()
        self._field = acts.ConstantBField(acts.Vector3(0, 0, FIELD_TESLA * acts.UnitConstants.T))
        self._finder = examples.TrackFindingAlgorithm.makeTrackFinderFunction(self._geometry, self._field, QUIET)
        self._modules = ActsModules.of(self._geometry)

    def reconstruct(self, event: Event) -> NDArray[np.int64]:
        """Find the tracks of one event. Truth is not looked at.

        Args:
            event: Hits of the Generic detector.

        Returns:
            int64 [hits], track of each hit, `NO_TRACK` for none.

        Raises:
            DataError: A hit is not on a module of the detector.
        """
        if len(event) == 0:
            return np.zeros(0, dtype=np.int64)
        rows, local, variance = self._modules.measurements(event, tolerance=self._config.plane_tolerance)
        feed = _Measurements([self._modules.identifier[row] for row in rows], local, variance)
        found = FoundTracks()
        pixels_only = bool(np.isin(event.volume_id, PIXEL_VOLUMES).all())
        cuts = self._config.pixel_finding if pixels_only else self._config.finding
        sequencer = examples.Sequencer(events=1, numThreads=1, logLevel=QUIET, trackFpes=False)
        for algorithm in (
            feed,
            *self._seeding(),
            self._finding(cuts),
            _ambiguities(cuts),
            _Tracks(found),
        ):
            sequencer.addAlgorithm(algorithm)
        sequencer.run()
        return found.labels(len(event))

    def _seeding(self) -> tuple[Any, Any, Any]:
        cuts, unit = self._config.seeding, acts.UnitConstants
        spacepoints = examples.SpacePointMaker(
            level=QUIET,
            inputMeasurements=MEASUREMENTS,
            outputSpacePoints=SPACEPOINTS,
            trackingGeometry=self._geometry,
            geometrySelection=[acts.GeometryIdentifier(volume=volume) for volume in cuts.volumes],
            stripGeometrySelection=[],
        )
        separations = {
            f"deltaR{end}{which}": value * unit.mm
            for end, value in (("Min", cuts.separation_min), ("Max", cuts.separation_max))
            for which in ("", "Top", "Bottom")
        }
        seeds = examples.GridTripletSeedingAlgorithm(
            level=QUIET,
            inputSpacePoints=SPACEPOINTS,
            outputSeeds="all_seeds",
            bFieldInZ=FIELD_TESLA * unit.T,
            minPt=cuts.pt_min * unit.GeV,
            cotThetaMax=float(np.sinh(cuts.eta_max)),
            impactMax=cuts.impact_max * unit.mm,
            collisionRegionMin=-cuts.vertex_z_max * unit.mm,
            collisionRegionMax=cuts.vertex_z_max * unit.mm,
            rMin=0.0,
            rMax=cuts.r_max * unit.mm,
            zMin=-cuts.z_max * unit.mm,
            zMax=cuts.z_max * unit.mm,
            rMinMiddle=cuts.middle_r_min * unit.mm,
            rMaxMiddle=cuts.middle_r_max * unit.mm,
            sigmaScattering=cuts.scattering_sigmas,
            radLengthPerSeed=cuts.radiation_lengths,
            maxSeedsPerSpM=cuts.seeds_per_middle,
            **separations,
        )
        parameters = examples.TrackParamsEstimationAlgorithm(
            level=QUIET,
            inputSeeds="all_seeds",
            outputSeeds=SEEDS,
            outputTrackParameters=PARAMETERS,
            trackingGeometry=self._geometry,
            magneticField=self._field,
            particleHypothesis=acts.ParticleHypothesis.pion,
        )
        return spacepoints, seeds, parameters

    def _finding(self, cuts: ActsTrackFinding) -> Any:  # noqa: ANN401 - a C++ object
        # Bins of |eta| (none), largest chi2 of a measurement, of an outlier, and measurements per surface.
        selection = ([], [cuts.chi2_measurement], [cuts.chi2_outlier], [cuts.branches])
        return examples.TrackFindingAlgorithm(
            level=QUIET,
            measurementSelectorCfg=acts.MeasurementSelector.Config([(acts.GeometryIdentifier(), selection)]),
            inputMeasurements=MEASUREMENTS,
            inputInitialTrackParameters=PARAMETERS,
            inputSeeds=SEEDS if cuts.deduplicate_seeds or cuts.stay_on_seed else "",
            outputTracks=TRACKS,
            findTracks=self._finder,
            trackingGeometry=self._geometry,
            magneticField=self._field,
            trackSelectorCfg=acts.TrackSelector.Config(
                ptMin=cuts.pt_min * acts.UnitConstants.GeV,
                minMeasurements=cuts.minimum_hits,
                maxHoles=cuts.maximum_holes,
                maxOutliers=cuts.maximum_outliers,
            ),
            twoWay=cuts.two_way,
            seedDeduplication=cuts.deduplicate_seeds,
            stayOnSeed=cuts.stay_on_seed,
            constrainToVolumeIds=list(cuts.volumes),
        )


def _ambiguities(cuts: ActsTrackFinding) -> Any:  # noqa: ANN401 - a C++ object
    return examples.GreedyAmbiguityResolutionAlgorithm(
        level=QUIET,
        inputTracks=TRACKS,
        outputTracks=UNIQUE,
        maximumSharedHits=cuts.too_many_shared_hits,
        nMeasurementsMin=cuts.minimum_hits,
        maximumIterations=10_000_000,
    )


class _Measurements(examples.IAlgorithm):
    """Puts the hits of the event where ACTS reads its measurements."""

    def __init__(self, identifiers: list[Any], positions: NDArray[np.float64], variances: NDArray[np.float64]) -> None:
        examples.IAlgorithm.__init__(self, "Measurements", QUIET)
        # The subset that the steps read refers to this container, which must outlive them.
        self._all = examples.MeasurementContainer()
        self._all.reserve(len(identifiers))
        for identifier, position, variance in zip(identifiers, positions.tolist(), variances.tolist(), strict=True):
            self._all.emplaceMeasurement(identifier, (0, 1), position, variance)
        self._handle = examples.WriteDataHandle(self, examples.MeasurementSubset, "Measurements")
        self._handle.initialize(MEASUREMENTS)

    def execute(self, arg0: Any) -> Any:  # noqa: ANN401 - the name and the objects are those of C++
        self._handle(arg0, examples.MeasurementSubset(self._all, range(len(self._all))))
        return examples.ProcessCode.SUCCESS


class _Tracks(examples.IAlgorithm):
    """Reads the tracks that ACTS found."""

    def __init__(self, found: FoundTracks) -> None:
        examples.IAlgorithm.__init__(self, "Tracks", QUIET)
        self._found = found
        self._handle = examples.ReadDataHandle(self, examples.ConstTrackContainer, "Tracks")
        self._handle.initialize(UNIQUE)

    def execute(self, arg0: Any) -> Any:  # noqa: ANN401 - the name and the objects are those of C++
        link = examples.IndexSourceLink.fromSourceLink
        for track in self._handle(arg0.eventStore):
            states = [state for state in track.trackStatesReversed if state.typeFlags.isMeasurement]
            self._found.hits.append([link(state.uncalibratedSourceLink).index() for state in states])
            self._found.chi2.append(track.chi2)
        return examples.ProcessCode.SUCCESS
