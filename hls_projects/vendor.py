"""What a written project holds for the vendors' tools: Makefile, scripts of the HLS tool, the kernel of a card."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from ..quantization import TypedGraph
from .kernel import write_kernel
from .project import PARTS, ProjectConfig
from .streams import BACKENDS as BOUNDED_BACKENDS

TEMPLATES = Path(__file__).parent / "templates"
TOOLS = {
    "Vitis": {
        "tool": "vitis-run",
        "product": "AMD Vitis 2023.2 or later (or vitis_hls of Vitis HLS 2020.2 or later)",
        "check": "command -v vitis-run >/dev/null || command -v vitis_hls >/dev/null",
        "hls": "if command -v vitis-run >/dev/null; then vitis-run --mode hls --tcl vendor.tcl;"
        " else vitis_hls -f vendor.tcl; fi",
        "log": "vitis_hls.log",
    },
    "Vivado": {
        "tool": "vivado_hls",
        "product": "Xilinx Vivado HLS 2019.1 to 2020.1",
        "check": "command -v vivado_hls >/dev/null",
        "hls": "vivado_hls -f vendor.tcl",
        "log": "vivado_hls.log",
    },
}


def makefile_text(project_name: str, config: ProjectConfig) -> str:
    """The Makefile of a project: `csim` and `csim-bounded` with g++ alone, the others with the vendor's tools.

    Args:
        project_name: Name of the project and of its top function.
        config: How the project is written, resolved.

    Returns:
        The text.
    """
    names: dict[str, object] = {
        "project": project_name,
        "backend": config.backend,
        "part": config.part or PARTS[config.backend],
        "clock_period": f"{config.clock_period:g}",
        "io_type": config.io_type,
    }
    streams = config.io_type == "io_stream" and config.backend in BOUNDED_BACKENDS
    bounded = _filled("Makefile.bounded.in" if streams else "Makefile.nobounded.in", names)
    if config.backend == "Quartus":
        vendor = _filled("Makefile.quartus.in", names) + _filled("Makefile.nokernel.in", names)
        names |= {
            "includes": "-Ifirmware/ac_types",
            "products": f"{project_name}-fpga {project_name}-fpga.prj",
        }
    else:
        names |= TOOLS[config.backend]
        kernel = "Makefile.kernel.in" if config.backend == "Vitis" else "Makefile.nokernel.in"
        vendor = _filled("Makefile.xilinx.in", names) + _filled(kernel, names)
        names |= {
            "includes": "-Ifirmware/ap_types" + (" -Ikernel" if config.backend == "Vitis" else ""),
            "products": f"{project_name}_prj",
        }
    return _filled("Makefile.in", names | {"bounded": bounded, "vendor": vendor.rstrip("\n") + "\n"})


def write_vendor_files(
    directory: Path,
    *,
    name: str,
    graph: TypedGraph,
    config: ProjectConfig,
    model: Any,  # noqa: ANN401 - hls4ml is untyped
) -> None:
    """Write the files of a project that drive the vendors' tools.

    Args:
        directory: Folder of the project, with hls4ml's files in it.
        name: Name of the project and of its top function.
        graph: The network.
        config: How the project is written, resolved.
        model: hls4ml's model, whose variables are the arguments of the top function.
    """
    (directory / "Makefile").write_text(makefile_text(name, config), encoding="utf-8")
    if config.backend == "Quartus":
        return
    script = _filled("vendor.tcl.in", {"project": name})
    (directory / "vendor.tcl").write_text(script, encoding="utf-8")
    if config.backend == "Vitis":
        write_kernel(directory, name=name, graph=graph, config=config, model=model)


def vendor_results(directory: Path) -> tuple[Path, ...]:
    """What vendors' tools have left in a project: hours of work that writing the project again would take away."""
    patterns = ("*_prj", "*-fpga", "*-fpga.prj", "build/kernel")
    return tuple(path for pattern in patterns for path in sorted(directory.glob(pattern)))


def _filled(template: str, names: dict[str, object]) -> str:
    return string.Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(names)
