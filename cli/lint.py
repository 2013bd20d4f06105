"""The command `lint`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .options import AsJson
from .printing import print_json, print_table

VIOLATED = 1


def lint(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Checkpoint (.pt) of hitfabric train, path/to/file.py:NAME or package.module:NAME; NAME is an"
            " nn.Module, or a class or function that gives one without arguments.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Explain what keeps a model from becoming firmware.

    Checks every layer and operation against the contract of quantization-aware training: power-of-two scales, quantized
    biases, supported layers, one quantizer at every input. Each violation names the module, the rule and the remedy.
    Warnings do not count. Exit code 1 on any violation.
    """
    from ..pipeline.lint import LintConfig
    from ..pipeline.lint import lint as run

    report = run(LintConfig(model=model))
    if as_json:
        print_json(
            {
                "model": model,
                "passed": report.passed,
                "violations": [asdict(violation) for violation in report.violations],
                "warnings": [asdict(warning) for warning in report.warnings],
            }
        )
    else:
        rows = [("violation", item.module, item.rule, item.remedy) for item in report.violations]
        rows += [("warning", item.module, item.rule, item.remedy) for item in report.warnings]
        if rows:
            print_table(model, ("level", "module", "rule", "remedy"), rows, prose=True)
        counts = f"{len(report.violations)} violations, {len(report.warnings)} warnings"
        typer.echo(f"{model}: {counts}: " + ("can become firmware" if report.passed else "cannot become firmware"))
    if not report.passed:
        raise typer.Exit(VIOLATED)
