"""Tables of physics performance: every figure with its interval and what it is counted of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .counts import Rate, Ratio
from .evaluation_record import EdgeStage, NetworkScores, TrackPerformance

DASH = "\u2013"
MINUS = "\u2212"
PLUS_MINUS = "\u00b1"
TrackRow = tuple[str, str, str]
SYMBOLS = {">=": "\u2265", "<=": "\u2264", "|eta|": "|\u03b7|"}


def symbols(text: str) -> str:
    """Words of a record with the signs that a plain text file spells out."""
    for plain, sign in SYMBOLS.items():
        text = text.replace(plain, sign)
    return text


def percent(ratio: Ratio) -> str:
    """A share in percent with its interval, as `97.3 (+0.2 -0.3) %`; a dash where the total is 0."""
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return DASH
    width = ratio.high - ratio.low
    digits = 1 if width > 0.002 else 2 if width > 0.0002 else 3
    up, down = 100 * (ratio.high - ratio.value), 100 * (ratio.value - ratio.low)
    return f"{100 * ratio.value:.{digits}f} (+{up:.{digits}f} {MINUS}{down:.{digits}f}) %"


def track_ratios(tracks: TrackPerformance) -> list[tuple[str, Ratio | Rate, str]]:
    """Name, share, and what it is counted of, of the three track figures."""
    return [
        ("track efficiency", tracks.efficiency, "particles"),
        ("fake rate", tracks.fake_rate, "tracks"),
        ("duplicate rate", tracks.duplicate_rate, "particles found"),
    ]


def track_rows(tracks: TrackPerformance) -> list[TrackRow]:
    """Name, figure with its interval, and counts; what was not measured has no row."""
    bounds = (
        ("fake rate, at least", tracks.fake_rate_low, "tracks, whatever made the unlabelled hits"),
        ("fake rate, at most", tracks.fake_rate_high, "tracks, for some origin of the unlabelled hits"),
    )
    ratios = track_ratios(tracks) + [(label, ratio, noun) for label, ratio, noun in bounds if ratio is not None]
    rows = [(label, percent(ratio), f"{ratio.passed:,} of {ratio.total:,} {noun}") for label, ratio, noun in ratios]
    if tracks.fake_rate_low is not None:
        share = Ratio(passed=tracks.tracks_unknown, total=tracks.fake_rate_low.total)
        counts = f"{share.passed:,} of {share.total:,} tracks, most of whose hits are not labelled"
        rows.append(("tracks that cannot be judged", percent(share), counts))
    if tracks.purity is not None and tracks.purity.mean is not None:
        counts = f"mean over {sum(tracks.purity.tracks):,} tracks"
        rows.append(("track purity", _mean(tracks.purity.mean, tracks.purity.error), counts))
    if tracks.trackml is not None:
        events = f"mean over {tracks.trackml.events:,} events"
        rows.append(("TrackML score", _mean(tracks.trackml.score, tracks.trackml.error), events))
    return rows


def stage_rows(stages: Sequence[EdgeStage]) -> list[tuple[str, str, str, str, str]]:
    """Name, efficiency, purity, edges per hit, and counts of the graph after each stage."""
    return [
        (
            stage.name,
            percent(Ratio(passed=stage.kept, total=stage.target)),
            percent(Ratio(passed=stage.kept, total=stage.edges - stage.unknown)),
            f"{stage.edges / stage.hits:.3g}" if stage.hits else DASH,
            f"{stage.kept:,} of {stage.target:,} true edges among {stage.edges:,}"
            + (f", {stage.unknown:,} at hits of unknown origin" if stage.unknown else ""),
        )
        for stage in stages
    ]


def network_rows(networks: Mapping[str, NetworkScores]) -> list[tuple[str, str, str]]:
    """Name, area under the ROC curve, and counts of each network that has a curve."""
    return [
        (
            name,
            f"{scores.roc.auc:.5f}{_error(scores.roc.auc_error, 5)}",
            f"{scores.true:,} true, {scores.false:,} false",
        )
        for name, scores in networks.items()
        if scores.roc is not None and scores.roc.auc is not None
    ]


def _mean(value: float, error: float | None) -> str:
    return f"{value:.4f}{_error(error, 4)}"


def _error(error: float | None, digits: int) -> str:
    return "" if error is None else f" {PLUS_MINUS} {error:.{digits}f}"
