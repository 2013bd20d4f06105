"""Writes a typed graph as an hls4ml project."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core import GraphError, atomic_directory
from ..quantization import TypedGraph
from .entry import Ports, entry_source, testbench_source
from .extension import register
from .layers import DENSE_LAYERS, LayerPlan, plan_layers
from .manifest import GRAPH_FOLDER
from .project import ENTRY_FILE, HlsProject, ProjectConfig, write_manifest
from .quartus import check_quartus, quartus_ports, signed_accumulators, trace_each_layer
from .streams import BACKENDS as BOUNDED_BACKENDS
from .streams import set_stream_depths, write_bounded
from .vendor import write_vendor_files

WEIGHT_ARRAY = re.compile(
    r"^(?P<const>static const )?(?P<type>\w+) (?P<name>\w+)\[(?P<size>\d+)\] = \{(?P<values>.*)\};$", flags=re.MULTILINE
)
WEIGHT_TABLE = r"""#define \g<name>_VALUES \g<values>
#ifdef @SYNTHESIS@
\g<const>\g<type> \g<name>[\g<size>] = {\g<name>_VALUES};
#else
static \g<type> \g<name>[\g<size>];
static const double \g<name>_table[\g<size>] = {\g<name>_VALUES};
static const bool \g<name>_loaded = []() {
    for (unsigned i = 0; i < \g<size>; i++)
        \g<name>[i] = \g<name>_table[i];
    return true;
}();
#endif"""
SYNTHESIS_MACRO = {"Vitis": "__SYNTHESIS__", "Vivado": "__SYNTHESIS__", "Quartus": "__INTELFPGA_COMPILER__"}


def write_project(
    graph: TypedGraph,
    directory: Path,
    *,
    config: ProjectConfig | None = None,
    accumulator_widths: Mapping[str, int] | None = None,
) -> HlsProject:
    """Write the hls4ml project of a network, whole or not at all.

    The weights are compiled in, so that the folder may be moved. Besides hls4ml's files it holds `typed_graph/`,
    a plain C entry for many rows per call, a self-checking test bench and a Makefile, whose targets docs/vendor.md
    lists.

    Args:
        graph: The network.
        directory: Folder to write; an existing one is replaced.
        config: How to write it.
        accumulator_widths: Bits of accumulators that wrap, by Dense or EdgeAggregate node: a planted fault. By default
            every accumulator has the width proven by the typed graph.

    Returns:
        The project.

    Raises:
        GraphError: hls4ml cannot hold the network; the message names the node or hls4ml's reason.
    """
    config = (config or ProjectConfig()).resolved(graph)
    widths = dict(accumulator_widths or {})
    plan = plan_layers(graph, config=config, accumulator_widths=widths)
    register()
    ports = Ports()
    if config.backend == "Quartus":
        check_quartus(graph)
        plan = signed_accumulators(plan, keep=widths)
        ports = quartus_ports(config)
    name = f"hitfabric_{graph.name}"
    with atomic_directory(directory) as temporary:
        model, chatter = _quietly(lambda: _model(plan, temporary, name=name, config=config), graph=graph)
        layers = {layer.name: layer for layer in model.get_layers()}
        missing = [layer for layer in plan.traced.values() if layer not in layers]
        if missing:
            raise GraphError(
                f"hls4ml removed the layers {missing}", remedy="report this network as a defect of hitfabric"
            )
        set_stream_depths(model, config)
        _, more = _quietly(model.write, graph=graph)
        (temporary / "hls4ml.log").write_text(chatter + more, encoding="utf-8")
        _remove_bridge(temporary, name)
        if config.backend == "Quartus":
            trace_each_layer(temporary, name=name, model=model)
        if config.io_type == "io_stream" and config.backend in BOUNDED_BACKENDS:
            write_bounded(temporary, name, inputs=len(graph.inputs))
        _load_weights_from_tables(temporary, synthesis_macro=SYNTHESIS_MACRO[config.backend])
        _make_reproducible(temporary, digest=graph.digest)
        (temporary / ENTRY_FILE).write_text(entry_source(name, plan, model, ports), encoding="utf-8")
        (temporary / f"{name}_test.cpp").write_text(testbench_source(name, model, graph, ports), encoding="utf-8")
        write_vendor_files(temporary, name=name, graph=graph, config=config, model=model)
        graph.save(temporary / GRAPH_FOLDER)
        project = HlsProject(
            directory=temporary,
            name=name,
            graph=graph,
            config=config,
            traced=plan.traced,
            accumulator_widths=widths,
        )
        write_manifest(project)
    return replace(project, directory=directory)


def _model(plan: LayerPlan, directory: Path, *, name: str, config: ProjectConfig) -> Any:  # noqa: ANN401 - hls4ml is untyped
    from hls4ml.model.graph import ModelGraph
    from hls4ml.utils.config import create_config

    settings = create_config(
        output_dir=str(directory),
        project_name=name,
        backend=config.backend,
        part=config.part,
        clock_period=config.clock_period,
        io_type=config.io_type,
        write_weights_txt=False,  # otherwise a moved project calls exit(1) in the process that loads it
    )
    traced = set(plan.traced.values())
    settings["TraceOutput"] = True
    settings["HLSConfig"] = {
        # hls4ml insists on a default precision; every layer below states its own.
        "Model": {
            "Precision": "ap_fixed<16,6>",
            "ReuseFactor": config.reuse_factor,
            "Strategy": config.strategy,
            # Of the top function, where hls4ml makes one pipeline of it: io_parallel with the Latency strategy.
            "PipelineInterval": config.reuse_factor,
        },
        "LayerName": {
            layer["name"]: {
                "Precision": plan.precisions[layer["name"]],
                "ReuseFactor": _reuse_factor(layer, config),
                "Strategy": config.strategy,
                "Trace": layer["name"] in traced,
            }
            for layer in plan.layers
        },
    }
    return ModelGraph.from_layer_list(settings, plan.layers, inputs=plan.inputs, outputs=plan.outputs)


def _reuse_factor(layer: dict[str, Any], config: ProjectConfig) -> int:
    """The reuse factor that a layer allows, nearest to the one configured.

    The Resource kernels compute wrong sums for others. hls4ml corrects a dense layer's, and takes the configured one
    back once it has turned a dense layer of nodes or edges into a convolution.
    """
    from hls4ml.backends import get_backend

    if config.strategy != "Resource" or layer["class_name"] not in DENSE_LAYERS:
        return config.reuse_factor
    backend = get_backend(config.backend)
    allowed = backend.get_valid_reuse_factors(layer["n_in"], layer["n_out"])
    return int(backend.get_closest_reuse_factor(allowed, config.reuse_factor))


def _quietly(work: Any, *, graph: TypedGraph) -> tuple[Any, str]:  # noqa: ANN401 - hls4ml is untyped
    """Run hls4ml with its prints and warnings collected; its errors become one line."""
    captured = io.StringIO()
    try:
        with contextlib.redirect_stdout(captured), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = work()
    except OSError:
        raise  # a full disk is no fault of the network
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GraphError(
            f"hls4ml refuses network {graph.name}: {reason}", remedy="change the network or its config"
        ) from error
    return result, captured.getvalue() + "".join(f"{warning.message}\n" for warning in caught)


def _remove_bridge(directory: Path, name: str) -> None:
    # hls4ml's own bridge takes one row per call and finds its library by a random stamp; ours replaces it.
    (directory / f"{name}_bridge.cpp").unlink()
    (directory / "build_lib.sh").unlink()


def _load_weights_from_tables(directory: Path, *, synthesis_macro: str) -> None:
    """Let the C simulation convert each weight array from a table of doubles when the library is loaded.

    As hls4ml writes them, g++ compiles one constructor call per weight: 26 s instead of 3 for 4,992 weights.
    Synthesis reads the same values in hls4ml's own form.
    """
    table = WEIGHT_TABLE.replace("@SYNTHESIS@", synthesis_macro)
    for path in sorted((directory / "firmware" / "weights").glob("*.h")):
        text, count = WEIGHT_ARRAY.subn(table, path.read_text(encoding="utf-8"))
        if count != 1:
            raise GraphError(f"{path.name} holds {count} weight arrays", remedy="install hls4ml 1.3.0")
        path.write_text(text, encoding="utf-8")


def _make_reproducible(directory: Path, *, digest: str) -> None:
    settings = directory / "hls4ml_config.yml"
    text = settings.read_text(encoding="utf-8").replace(str(directory), ".")
    # hls4ml's random stamp, in quotes where it reads as a number
    text = re.sub(r"^Stamp: .*$", f"Stamp: '{digest[:8]}'", text, flags=re.MULTILINE)
    settings.write_text(text, encoding="utf-8")
