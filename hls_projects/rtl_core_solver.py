"""The additions of each dense layer: searched for in a process that may take so long and no longer, and kept."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from ..core import HitfabricWarning, StrictModel, ToolError, atomic_file, cache_directory, cache_error
from .lock_file import locked
from .rtl_core_products import Product, plain_product
from .rtl_core_search import Problem
from .rtl_core_sums import signed_digits
from .rtl_core_worker import DONE
from .rtl_fields import Solver

WORKER = "rtl_core_worker"
WIDEST_WEIGHT, HIGHEST_WEIGHT = 24, 30  # da4ml takes weights as float32 and makes them int32


class Entry(StrictModel):
    """What the cache holds of one matrix.

    Attributes:
        product: The cheapest product found, or None where there was none in time.
        finished: Whether the search came to its end.
        seconds: Time that it was given.
    """

    product: Product | None
    finished: bool
    seconds: float


def find_product(problem: Problem, *, name: str, seconds: float) -> tuple[Product, Solver]:
    """The additions of a matrix product.

    Args:
        problem: The matrix, and what is known of its inputs.
        name: Name of the layer, for messages.
        seconds: Time that the search may take; it is not searched for again unless it may take longer.

    Returns:
        The product, and what found it; `shift_add` with a HitfabricWarning where the search gave nothing.

    Raises:
        ToolError: The solver fails, or the cache cannot be written.
    """
    plain = plain_product(problem.weight)
    if not _may_share(problem):
        return plain, "da4ml"
    if any(_is_wide(factor) for row in problem.weight for factor in row):
        return _fallback(
            plain, f"layer {name}: weights of more than {WIDEST_WEIGHT} bits", "retrain with narrower ones"
        )
    try:
        installed = version("da4ml")
    except PackageNotFoundError:
        return _fallback(plain, f"layer {name}: da4ml is not installed", "run: pip install da4ml==0.6.0")
    entry = _kept(problem, installed, name=name, seconds=seconds)
    if entry.product is None:
        return _fallback(plain, f"layer {name}: da4ml gave nothing within {seconds:g} s", "raise solver_seconds")
    return entry.product, "da4ml"


def _may_share(problem: Problem) -> bool:
    """Whether two rows, or two columns, have enough terms to share one."""
    digits = [[sum(1 for _ in signed_digits(factor)) for factor in row] for row in problem.weight]
    return sum(map(sum, digits)) > 2 + len(digits)


def _is_wide(factor: int) -> bool:
    lowest = (factor & -factor).bit_length()
    return factor.bit_length() > HIGHEST_WEIGHT or factor.bit_length() - lowest >= WIDEST_WEIGHT


def _fallback(plain: Product, reason: str, remedy: str) -> tuple[Product, Solver]:
    message = f"{reason}; plain shift-add takes its place, with the same results and more LUTs; {remedy}"
    warnings.warn(HitfabricWarning(message), stacklevel=2)
    return plain, "shift_add"


def _kept(problem: Problem, installed: str, *, name: str, seconds: float) -> Entry:
    content = [problem.model_dump(mode="json"), installed, _code_digest()]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]
    place = cache_directory() / "rtl" / "products" / f"{key}.json"
    try:
        with locked(place.with_suffix(".lock")):
            entry = _load(place, problem)
            if entry is None or not (entry.finished or entry.seconds >= seconds):
                entry = _search(problem, name=name, seconds=seconds)
                with atomic_file(place) as temporary:
                    temporary.write_text(entry.model_dump_json(), encoding="ascii")
        return entry
    except OSError as error:
        raise cache_error(error, place) from error


def _load(place: Path, problem: Problem) -> Entry | None:
    """What is kept; None where nothing is, or where it is no product with this very matrix."""
    try:
        entry = Entry.model_validate_json(place.read_bytes())
    except (OSError, ValidationError):
        return None
    return entry if entry.product is None or entry.product.matrix() == problem.weight else None


def _search(problem: Problem, *, name: str, seconds: float) -> Entry:
    with tempfile.TemporaryFile() as request, tempfile.TemporaryFile() as found, tempfile.TemporaryFile() as log:
        message = {"problem": problem.model_dump(mode="json"), "seconds": seconds}
        request.write(json.dumps(message).encode())
        request.seek(0)
        code = _run(request, found, log, seconds)
        found.seek(0)
        lines = [line for line in found.read().decode().splitlines(keepends=True) if line.endswith("\n")]
        log.seek(0)
        complaint = log.read().decode(errors="replace").strip().splitlines()
    products = [line for line in lines if json.loads(line) != DONE]
    if code not in (0, None):
        raise ToolError(
            f"layer {name}: da4ml failed with code {code}: {complaint[-1] if complaint else 'no message'}",
            remedy="run: pip install --force-reinstall da4ml==0.6.0",
        )
    product = Product.model_validate_json(products[-1]) if products else None
    if product is not None and product.matrix() != problem.weight:
        raise ToolError(f"layer {name}: da4ml's sums are not the layer's", remedy="report the network")
    return Entry(product=product, finished=code == 0, seconds=seconds)


def _run(request: IO[bytes], found: IO[bytes], log: IO[bytes], seconds: float) -> int | None:
    """Exit code of the search, or None if its time was up."""
    command = [sys.executable, "-P", "-m", f"{__package__}.{WORKER}"]
    process = subprocess.Popen(command, stdin=request, stdout=found, stderr=log, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _code_digest() -> str:
    """Hash of the code that searches, so that a new version searches anew."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("rtl_core_*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
