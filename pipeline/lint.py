"""`hitfabric lint`: does a model keep the QAT contract, and if not, why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import StrictModel
from .extras import require_extra

if TYPE_CHECKING:
    from ..quantization.linter import LintReport


class LintConfig(StrictModel):
    """What to check.

    Attributes:
        model: A checkpoint (.pt) of `hitfabric train`, or `path/to/file.py:NAME` or `package.module:NAME`, where NAME
            is an `nn.Module`, or a class or function that gives one without arguments.
    """

    model: str


def lint(config: LintConfig) -> LintReport:
    """Check a model; a file or module named is executed, a checkpoint is not.

    Raises:
        DataError: There is no such model; what was found instead is named.
    """
    require_extra("train")
    from ..models.loading import load_model
    from ..quantization.linter import lint as run

    return run(load_model(config.model))
