"""Reports of the vendors' tools, two generations of each, whole and damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hitfabric.core import GraphError, ToolError
from hitfabric.hls_projects import HlsProject, ProjectConfig, write_project
from hitfabric.hls_projects.amd_reports import read_cosim, read_csynth, read_export, read_timing, read_utilization
from hitfabric.hls_projects.intel_reports import read_area, read_fit, read_verification
from hitfabric.hls_projects.report_figure import ReportFigure
from hitfabric.hls_projects.synthesis_reports import read_reports
from support.hand_graph import hand_graph

FIXTURES = Path(__file__).parent / "fixtures"
TOP = "hitfabric_hand"
synthesis = partial(read_csynth, top=TOP)
Reader = Callable[..., tuple[ReportFigure, ...]]

SYNTHESIS_2019 = {
    "clock target": 5.0,
    "clock period": 4.367,
    "latency min": 31,
    "latency max": 33,
    "interval min": 12,
    "interval max": 14,
    "LUT": 2310,
    "FF": 1205,
    "DSP": 3,
    "BRAM18": 4,
    "URAM": 0,
}
READ: list[tuple[str, Reader, str, dict[str, float]]] = [
    ("csynth_2019.xml", synthesis, "synthesised (HLS estimate)", SYNTHESIS_2019),
    ("csynth_2019.rpt", synthesis, "synthesised (HLS estimate)", SYNTHESIS_2019),
    (
        "csynth_2024.xml",
        synthesis,
        "synthesised (HLS estimate)",
        {"clock target": 5.0, "clock period": 3.61, "LUT": 2204, "FF": 1190, "DSP": 2, "BRAM18": 4, "URAM": 0},
    ),
    (
        "cosim_2019.rpt",
        read_cosim,
        "simulated (C/RTL cosimulation)",
        {
            "latency min": 29,
            "latency avg": 30,
            "latency max": 34,
            "interval min": 12,
            "interval avg": 13,
            "interval max": 15,
        },
    ),
    (
        "cosim_2024.rpt",
        read_cosim,
        "simulated (C/RTL cosimulation)",
        {"latency min": 31, "latency avg": 31, "latency max": 31},
    ),
    (
        "export_2019.xml",
        read_export,
        "implemented",
        {"LUT": 1544, "FF": 1102, "DSP": 3, "BRAM18": 4, "clock target": 5.0, "clock period": 4.512, "WNS": 0.488},
    ),
    (
        "export_impl_2024.xml",
        read_export,
        "implemented",
        {
            "LUT": 1498,
            "FF": 1066,
            "DSP": 2,
            "BRAM18": 4,
            "URAM": 0,
            "clock target": 5.0,
            "clock period": 5.204,
            "WNS": -0.204,
        },
    ),
    ("utilization_2019.rpt", read_utilization, "implemented", {"LUT": 1544, "FF": 1102, "BRAM18": 3, "DSP": 3}),
    (
        "utilization_2023.rpt",
        read_utilization,
        "implemented",
        {"LUT": 1498, "FF": 1066, "BRAM18": 4, "URAM": 0, "DSP": 2},
    ),
    (
        "timing_2023.rpt",
        read_timing,
        "implemented",
        {"WNS": -0.204, "clock target": 5.0, "clock period": 5.204},
    ),
    (
        "intel_report_data_19.js",
        read_area,
        "synthesised (HLS estimate)",
        {"ALUT": 6104, "FF": 9120, "RAM blocks": 16, "DSP": 3, "MLAB": 22},
    ),
    (
        "intel_area_23.json",
        read_area,
        "synthesised (HLS estimate)",
        {"ALUT": 5998, "FF": 9034, "RAM blocks": 16, "DSP": 3, "MLAB": 20},
    ),
    (
        "intel_verification_data.js",
        read_verification,
        "simulated (C/RTL cosimulation)",
        {
            "latency min": 41,
            "latency max": 52,
            "latency avg": 44,
            "interval min": 14,
            "interval max": 19,
            "interval avg": 15,
        },
    ),
    (
        "intel_quartus_data_19.js",
        read_fit,
        "implemented",
        {"clock period": 3.2, "ALM": 2310.5, "FF": 6104, "DSP": 3, "RAM blocks": 14, "MLAB": 20},
    ),
    ("intel_quartus_23.json", read_fit, "implemented", {}),
]
READERS = {file: reader for file, reader, _, _ in READ}


@pytest.mark.parametrize(("file", "reader", "kind", "expected"), READ, ids=[item[0] for item in READ])
def test_figures(file: str, reader: Reader, kind: str, expected: dict[str, float]) -> None:
    figures = reader(FIXTURES / file, source="there")
    assert {figure.name: figure.value for figure in figures} == expected
    assert {(figure.kind, figure.source) for figure in figures} <= {(kind, "there")}
    for figure in figures:
        timed = {"clock": "ns", "WNS": "ns", "latency": "cycles", "interval": "cycles"}
        assert figure.unit == timed.get(figure.name.split()[0], "")


@pytest.mark.parametrize("file", READERS)
def test_a_missing_report(file: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"cannot read .*: No such file.*; run its make target again"):
        READERS[file](tmp_path / file, source="there")


@pytest.mark.parametrize("file", [file for file in READERS if file != "timing_2023.rpt"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_a_truncated_report(file: str, share: float, tmp_path: Path) -> None:
    content = (FIXTURES / file).read_bytes()
    (tmp_path / file).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ToolError, match=rf"{file}: .*; run make (csynth|cosim|impl) again") as caught:
        READERS[file](tmp_path / file, source="there")
    assert "\n" not in str(caught.value)


def test_a_truncated_timing_report(tmp_path: Path) -> None:
    whole = (FIXTURES / "timing_2023.rpt").read_text()
    path = tmp_path / "timing.rpt"
    path.write_text(whole[: whole.index("    -------")])
    with pytest.raises(ToolError, match=r"holds no values of WNS\(ns\); run make impl again"):
        read_timing(path, source="there")


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("csynth_2019.xml", "<LUT>2310<", "<LUT>many<", "LUT is 'many', not a number"),
        ("csynth_2019.xml", "<LUT>2310<", "<LUT>inf<", "LUT is 'inf', not a finite number"),
        ("csynth_2019.xml", TOP, "hitfabric_other", "is of hitfabric_other, not of hitfabric_hand"),
        ("csynth_2019.xml", "<Interval-max>14</Interval-max>", "", "holds no .*Interval-max"),
        ("csynth_2019.xml", "DSP48E>", "DSP58>", "holds no DSP in AreaEstimates/Resources"),
        ("csynth_2019.rpt", f"'{TOP}'", "'hitfabric_other'", "is of hitfabric_other"),
        ("csynth_2019.rpt", "|Total ", "|Sum ", "ends before its clock, latency and total"),
        ("cosim_2019.rpt", "Pass", "Fail", "the cosimulation did not pass: Fail"),
        ("cosim_2019.rpt", "|             15|", "|", "the row of Verilog has 7 columns"),
        ("cosim_2024.rpt", "Verilog", "SystemC", "holds no row of a simulated RTL"),
        ("export_impl_2024.xml", ">impl<", ">synth<", "is of a run of synth, not of place and route"),
        ("export_2019.xml", "<BRAM>4</BRAM>", "", "holds no BRAM18 in AreaReport/Resources"),
        ("export_2019.xml", "AchievedClockPeriod", "ClockPeriod", "holds no TimingReport/AchievedClockPeriod"),
        ("utilization_2023.rpt", "Design State : Routed", "Design State : Synthesized", "the design is Synthesized"),
        ("utilization_2023.rpt", "| DSPs ", "| Multipliers ", "holds no row of DSP"),
        ("timing_2023.rpt", "-0.204", "fast", "WNS is 'fast', not a number"),
        ("intel_report_data_19.js", '"total":[6104', '"sum":[6104', "total is not a list"),
        ("intel_area_23.json", "5998, 9034, 16, 3, 20", "5998", "total is not a list"),
        ("intel_verification_data.js", '"41,52,44"', '"41,52"', "latency is '41,52', not minimum, maximum, average"),
        ("intel_verification_data.js", '"functions":[', '"functions":[],"x":[', "holds no latency and interval"),
        ("intel_quartus_data_19.js", '"alm"', '"les"', "holds no summaries"),
    ],
)
def test_a_malformed_report(file: str, old: str, new: str, named: str, tmp_path: Path) -> None:
    text = (FIXTURES / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(ToolError, match=named):
        READERS[file](tmp_path / file, source="there")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(hand_graph(), tmp_path_factory.mktemp("reports") / "hand").directory


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "hand")
    return tmp_path / "hand"


def place(project: Path, fixture: str, *where: str) -> None:
    path = project.joinpath(f"{TOP}_prj", "solution1", *where)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(FIXTURES / fixture, path)


def test_reports_of_a_project_stage_by_stage(project: Path) -> None:
    assert read_reports(project) == ()
    place(project, "csynth_2019.rpt", "syn", "report", f"{TOP}_csynth.rpt")
    (kind,) = {figure.kind for figure in read_reports(project)}
    assert kind == "synthesised (HLS estimate)"
    place(project, "csynth_2024.xml", "syn", "report", f"{TOP}_csynth.xml")
    found = {figure.name: figure for figure in read_reports(project)}
    assert found["LUT"].value == 2204, "the XML goes before the text"
    assert found["LUT"].source == f"{TOP}_prj/solution1/syn/report/{TOP}_csynth.xml"
    place(project, "cosim_2019.rpt", "sim", "report", f"{TOP}_cosim.rpt")
    place(project, "utilization_2023.rpt", "impl", "verilog", "report", f"{TOP}_utilization_routed.rpt")
    place(project, "timing_2023.rpt", "impl", "verilog", "report", f"{TOP}_timing_routed.rpt")
    routed = {figure.name: figure for figure in read_reports(project) if figure.kind == "implemented"}
    assert (routed["LUT"].value, routed["WNS"].value) == (1498, -0.204)
    assert routed["WNS"].source.endswith(f"{TOP}_timing_routed.rpt")
    place(project, "export_2019.xml", "impl", "report", "verilog", f"{TOP}_export.xml")
    exported = [figure for figure in read_reports(project) if figure.kind == "implemented"]
    assert {figure.name: figure.value for figure in exported}["LUT"] == 1544
    assert len({figure.name for figure in exported}) == len(exported), "each figure once"
    assert len({figure.kind for figure in read_reports(project)}) == 3


def test_reports_of_another_or_a_changed_project_are_refused(project: Path, tmp_path: Path) -> None:
    place(project, "csynth_2019.xml", "syn", "report", f"{TOP}_csynth.xml")
    (project / "firmware" / "parameters.h").write_text("// changed since\n")
    with pytest.raises(GraphError, match=r"parameters.h differs from project.json"):
        read_reports(project)
    with pytest.raises(GraphError, match="cannot read"):
        read_reports(tmp_path)


def test_reports_of_the_intel_compiler(project: Path) -> None:
    from hitfabric.hls_projects.synthesis_reports import project_reports

    loaded = HlsProject.load(project)
    config = ProjectConfig(backend="Quartus").resolved(loaded.graph)
    quartus = HlsProject(directory=project, name=TOP, graph=loaded.graph, config=config, traced=loaded.traced)
    assert project_reports(quartus) == ()
    folder = project / f"{TOP}-fpga.prj" / "reports" / "lib"
    folder.mkdir(parents=True)
    for fixture, name in (
        ("intel_report_data_19.js", "report_data.js"),
        ("intel_verification_data.js", "verification_data.js"),
        ("intel_quartus_data_19.js", "quartus_data.js"),
    ):
        shutil.copy(FIXTURES / fixture, folder / name)
    figures = project_reports(quartus)
    assert {figure.name: figure.value for figure in figures if figure.kind == "implemented"}["ALM"] == 2310.5
    assert len({figure.kind for figure in figures}) == 3
