"""What the vendors' reports in a project say, whichever stages have been run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .amd_reports import read_cosim, read_csynth, read_export, read_timing, read_utilization
from .intel_reports import read_area, read_fit, read_verification
from .project import HlsProject
from .report_figure import ReportFigure

Ways = list[tuple[Path, Callable[..., tuple[ReportFigure, ...]]]]
"""Files that tell the figures of one stage, the best first, each with its reader."""


def read_reports(project_dir: Path) -> tuple[ReportFigure, ...]:
    """Read the reports of every stage that has been run in a project.

    A stage that has not been run has no report and no figures. Where several files tell the figures of a stage,
    the first that exists is read: docs/vendor.md names them.

    Args:
        project_dir: Folder of a project written by `write_project`.

    Returns:
        The figures, stage by stage.

    Raises:
        GraphError: It is no project, or its sources are not those that were written.
        ToolError: A report is truncated, malformed or of another project, or says that cosimulation failed.
    """
    return project_reports(HlsProject.load(project_dir))


def project_reports(project: HlsProject) -> tuple[ReportFigure, ...]:
    """As `read_reports`, of a project that is loaded already."""
    if project.config.backend == "Quartus":
        stages = _intel_stages(project.directory / f"{project.name}-fpga.prj" / "reports" / "lib")
    else:
        stages = _amd_stages(project.directory / f"{project.name}_prj" / "solution1", project.name)
    figures: list[ReportFigure] = []
    for ways in stages:
        path, read = next(((path, read) for path, read in ways if path.is_file()), (None, None))
        if path is not None and read is not None:
            figures += read(path, source=str(path.relative_to(project.directory)))
    return tuple(figures)


def _amd_stages(solution: Path, top: str) -> list[Ways]:
    synthesis, implementation = solution / "syn" / "report", solution / "impl" / "report"
    return [
        [(synthesis / f"{top}_csynth.{kind}", partial(read_csynth, top=top)) for kind in ("xml", "rpt")],
        [(solution / "sim" / "report" / f"{top}_cosim.rpt", read_cosim)],
        [
            *(
                (implementation / language / name, read_export)
                for language in ("verilog", "vhdl")
                for name in ("export_impl.xml", f"{top}_export.xml")
            ),
            (solution / "impl" / "verilog" / "report" / f"{top}_utilization_routed.rpt", _read_routed),
        ],
    ]


def _read_routed(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Vivado's own two reports of a routed design, which lie side by side."""
    timing = "timing_routed.rpt".join(path.name.rsplit("utilization_routed.rpt", 1))
    return (
        *read_utilization(path, source=source),
        *read_timing(path.with_name(timing), source=str(Path(source).with_name(timing))),
    )


def _intel_stages(reports: Path) -> list[Ways]:
    return [
        [(reports / name, read_area) for name in ("json/area.json", "report_data.js")],
        [(reports / "verification_data.js", read_verification)],
        [(reports / name, read_fit) for name in ("json/quartus.json", "quartus_data.js")],
    ]
