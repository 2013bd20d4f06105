"""From the nodes of a torch.fx graph to the nodes of a typed graph, one rule at a time."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import brevitas.nn as qnn
import torch
import torch.fx
from torch import nn

from ..core import ContractError, GraphError
from .builder import GraphBuilder
from .contract import PASS_THROUGH, Violation, activation_format, bias_of, module_errors, weight_of
from .fx_nodes import (
    argument,
    becomes_index,
    call_arguments,
    called_module,
    describe,
    is_renaming,
    numbered,
    place,
    results,
    uses_of,
)
from .modules import EdgeAggregate, EdgeGather
from .nodes import Dimension
from .refusals import function_remedy

CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)
ADDITIONS = (operator.add, operator.iadd, torch.add)
INPUT_REMEDY = "put one QuantIdentity at the input"


class _PoisonedError(Exception):
    """A tensor comes from a node that was refused already."""


@dataclass(kw_only=True)
class Walk:
    """Visits every fx node once, in order.

    Attributes:
        model: The model, in evaluation mode.
        builder: Takes the typed nodes.
        shapes: Shape of each input.
        output_names: Names of the outputs.
        names: Name in the typed graph by fx node.
        origins: fx node name by name in the typed graph.
        paths: Path of the module or operation by name in the typed graph.
        unquantized: Modules that do nothing, before the quantizer of an input.
        violations: What broke the contract, in the order of execution.
    """

    model: nn.Module
    builder: GraphBuilder
    shapes: Mapping[str, tuple[Dimension, ...]]
    output_names: tuple[str, ...]
    names: dict[torch.fx.Node, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    unquantized: set[torch.fx.Node] = field(default_factory=set)
    violations: list[Violation] = field(default_factory=list)

    def visit(self, node: torch.fx.Node) -> None:
        """Add the typed node of an fx node, or note why there is none."""
        try:
            self._dispatch(node)
        except ContractError as error:
            self.refuse(node, error.message, error.remedy)
        except GraphError as error:
            self.refuse(node, f"{describe(node)}: {error.message}", error.remedy)
        except _PoisonedError:
            pass

    def refuse(self, node: torch.fx.Node, rule: str, remedy: str) -> None:
        """Note a violation once."""
        violation = Violation(module=place(node), rule=rule, remedy=remedy)
        if violation not in self.violations:  # a shared module is visited once a round
            self.violations.append(violation)

    def _dispatch(self, node: torch.fx.Node) -> None:
        match node.op:
            case "placeholder":
                self._placeholder(node)
            case "call_module":
                self._module(node, str(node.target), self.model.get_submodule(str(node.target)))
            case "call_function" | "call_method":
                self._function(node)
            case "output":
                self._output(node)
            case _:
                raise ContractError(
                    f"{describe(node)} reads a parameter or buffer outside a layer",
                    remedy="put constants into the bias of a QuantLinear",
                )

    def _record(self, node: torch.fx.Node, name: str) -> None:
        self.names[node] = name
        self.origins[name] = node.name
        self.paths[name] = place(node)

    def _fresh(self, node: torch.fx.Node) -> str:
        """An identifier of the typed graph for an fx node, different from every input and output."""
        base = node.name if node.name[0].isalpha() else f"layer{node.name}"
        taken = {*self.builder.nodes, *self.shapes, *self.output_names}
        return next(name for name in numbered(base) if name not in taken)

    def _source(self, node: torch.fx.Node, argument: Any) -> str:  # noqa: ANN401 - fx arguments have any type
        if isinstance(argument, torch.fx.Node) and argument in self.names:
            return self.names[argument]
        if isinstance(argument, torch.fx.Node) and argument.op != "placeholder":
            raise _PoisonedError
        if isinstance(argument, torch.fx.Node):
            raise ContractError(
                f"{describe(node)} reads {argument}, an input that is not quantized", remedy=INPUT_REMEDY
            )
        raise ContractError(
            f"{describe(node)} reads the constant {argument!r}", remedy="put constants into the bias of a QuantLinear"
        )

    def _placeholder(self, node: torch.fx.Node) -> None:
        name = str(node.target)
        if not node.users and node.args:
            return  # an argument with a default that nothing reads
        if name not in self.shapes:
            raise ContractError(f"input {name} has no shape", remedy="name it in input_shapes")
        uses = [use for user in node.users for use in uses_of(self.model, user, node)]
        if "edge_index" in uses and "values" not in uses:
            self._record(node, self.builder.edge_index(name))
            return
        readers = list(self._value_readers(node))
        if any(becomes_index(self.model, user) for user in readers):
            raise ContractError(
                f"input {name} is changed before it is an edge_index",
                remedy="give the input itself to the layers: integers [E, 2], columns (sender, receiver)",
            )
        if not readers:
            raise ContractError(
                f"input {name} has no values that anything reads", remedy="remove it from forward, or use it"
            )
        quantizers = [user for user in readers if isinstance(called_module(self.model, user), qnn.QuantIdentity)]
        if not quantizers or len(readers) > len(quantizers):
            raise ContractError(f"input {name} is not quantized by one QuantIdentity", remedy=INPUT_REMEDY)
        paths = {str(quantizer.target) for quantizer in quantizers}
        if len(paths) > 1:
            raise ContractError(
                f"input {name} is quantized by {', '.join(sorted(paths))}",
                remedy="quantize it once and use the result",
            )
        path, quantizer = paths.pop(), called_module(self.model, quantizers[0])
        if any(module_errors(path, quantizer)):  # pyright: ignore[reportArgumentType] - a QuantIdentity, see above
            raise _PoisonedError  # told where the quantizer is called
        form = activation_format(path, quantizer)  # pyright: ignore[reportArgumentType] - same
        typed = self.builder.input(name, shape=self.shapes[name], format=form)
        for user in reversed(quantizers):  # the first of them is the origin
            self._record(user, typed)

    def _value_readers(self, node: torch.fx.Node) -> Iterator[torch.fx.Node]:
        """What reads the values of a node, also behind modules that do nothing in evaluation mode."""
        for user in node.users:
            if isinstance(called_module(self.model, user), PASS_THROUGH):
                self.unquantized.add(user)
                yield from self._value_readers(user)
            elif set(uses_of(self.model, user, node)) != {"rows"}:
                yield user

    def _module(self, node: torch.fx.Node, path: str, module: nn.Module) -> None:
        errors = list(module_errors(path, module))
        for error in errors:
            self.refuse(node, error.message, error.remedy)
        if errors:
            raise _PoisonedError
        arguments = call_arguments(node, module)
        if isinstance(module, EdgeGather | EdgeAggregate):
            self._record(node, self._graph_module(node, module, arguments))
            return
        source = next(iter(arguments.values()), None)
        if isinstance(module, PASS_THROUGH):
            if node in self.unquantized:
                return
            self.names[node] = self._source(node, source)
        elif isinstance(module, qnn.QuantReLU | qnn.QuantIdentity):
            if node not in self.names:  # a quantizer of an input was taken with its placeholder
                form = activation_format(path, module)
                name = self.builder.requantize(self._fresh(node), self._source(node, source), format=form)
                self._record(node, name)
        elif isinstance(module, qnn.QuantLinear):
            self._record(node, self._dense(node, path, module, self._source(node, source)))

    def _dense(self, node: torch.fx.Node, path: str, module: qnn.QuantLinear, source: str) -> str:
        width = self.builder.nodes[source].tensor.width
        if width != module.in_features:
            raise ContractError(
                f"module {path} takes {module.in_features} features and is given {width}",
                remedy="correct in_features or input_shapes",
            )
        weight, bias = weight_of(path, module), bias_of(path, module)
        return self.builder.dense(
            self._fresh(node),
            source,
            weight=weight.integers,
            weight_format=weight.format,
            bias=None if bias is None else bias.integers,
            bias_format=None if bias is None else bias.format,
        )

    def _graph_module(
        self, node: torch.fx.Node, module: EdgeGather | EdgeAggregate, arguments: Mapping[str, Any]
    ) -> str:
        index: Any = arguments.get("edge_index")
        if isinstance(index, torch.fx.Node) and index.op != "placeholder":
            raise ContractError(
                f"module {node.target} takes {index}, which is not an input, for its edge_index",
                remedy="give the input edge_index itself, columns (sender, receiver)",
            )
        if isinstance(module, EdgeGather):
            sources = [self._source(node, arguments.get(name)) for name in ("nodes", "edge_index")]
            return self.builder.edge_gather(self._fresh(node), *sources)
        edges, column = self._source(node, arguments.get("edges")), self._source(node, index)
        self._check_rows(node, arguments.get("nodes"))
        return self.builder.edge_aggregate(self._fresh(node), edges, column, column=module.column, mode=module.mode)

    def _check_rows(self, node: torch.fx.Node, rows: Any) -> None:  # noqa: ANN401 - fx arguments have any type
        shape: tuple[Dimension, ...] | None = None
        if isinstance(rows, torch.fx.Node):
            raw = rows.op == "placeholder"
            shape = (
                self.shapes.get(str(rows.target)) if raw else self.builder.nodes[self._source(node, rows)].tensor.shape
            )
        if shape is None or shape[0] != "N":
            raise ContractError(
                f"module {node.target} is given {rows} as its nodes", remedy="give a tensor of nodes [N, F], last"
            )

    def _function(self, node: torch.fx.Node) -> None:
        name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
        if is_renaming(node):
            self.names[node] = self._source(node, node.args[0])
        elif node.target in CONCATENATIONS:
            self._concatenation(node)
        elif node.target in ADDITIONS or (node.op == "call_method" and name == "add"):
            self._addition(node)
        elif node.target is nn.functional.dropout and argument(node, 2, "training", default=True) is False:
            self.names[node] = self._source(node, argument(node, 0, "input"))
        else:
            raise ContractError(f"{describe(node)} has no firmware node", remedy=function_remedy(name))

    def _concatenation(self, node: torch.fx.Node) -> None:
        parts = argument(node, 0, "tensors")
        dimension = argument(node, 1, "dim", "axis", default=0)
        if not isinstance(parts, list | tuple):
            raise ContractError(f"{describe(node)} takes no list of tensors", remedy="give it a list")
        sources = [self._source(node, part) for part in parts]
        last = len(self.builder.nodes[sources[0]].tensor.shape) - 1
        if dimension not in (-1, last):
            raise ContractError(f"{describe(node)} along {dimension}", remedy="concatenate with dim=-1")
        if len(sources) == 1:
            self.names[node] = sources[0]
        else:
            self._record(node, self.builder.concat(self._fresh(node), sources))

    def _addition(self, node: torch.fx.Node) -> None:
        if argument(node, 2, "alpha", default=1) != 1:
            raise ContractError(f"{describe(node)} scales a term by alpha", remedy=function_remedy("mul"))
        terms = [argument(node, 0, "input"), argument(node, 1, "other")]
        terms = [term for term in terms if not (isinstance(term, int) and term == 0)]  # sum([a, b]) starts at 0
        sources = [self._source(node, term) for term in terms]
        if len(sources) == 1:
            self.names[node] = sources[0]
        else:
            self._record(node, self.builder.add(self._fresh(node), *sources))

    def _output(self, node: torch.fx.Node) -> None:
        found, names = results(node.args[0]), self.output_names
        if len(found) != len(names):
            raise ContractError(
                f"the model returns {len(found)} tensors, output_names names {len(names)}",
                remedy="name each output in the attribute output_names",
            )
        for name, result in zip(names, found, strict=True):
            if isinstance(result, torch.fx.Node) and result not in self.names and result.op != "placeholder":
                continue  # refused before
            if not isinstance(result, torch.fx.Node):
                raise ContractError(
                    f"output {name} is {type(result).__name__}, not a tensor",
                    remedy="return a tensor, or a tuple or dictionary of tensors",
                )
            if result not in self.names:
                raise ContractError(f"output {name} is an input that is not quantized", remedy=INPUT_REMEDY)
            self.builder.output(name, self.names[result])
            self.origins[name] = result.name
            self.paths[name] = name
