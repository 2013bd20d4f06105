"""The process that searches for a matrix product with da4ml: a problem on stdin, ever cheaper products on stdout.

A process of its own, as the solver cannot be told to stop. Every line is a whole product; the last one says `done`.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from .rtl_core_products import Product
from .rtl_core_search import Addition, Problem, Solution, improved
from .rtl_core_sums import signed_digits

DONE = "done"
BLOCK = 32  # rows and columns of what is solved at once at first; the solver's time grows with the fourth power
ORDERS = 24  # most orders of rows and columns that are tried: the solver is greedy, and ties decide
DIGITS = 6000  # digits of all orders together
PRUNED = 3  # cheapest solutions whose sharing is examined sum by sum
EXAMINED = 3000  # additions of a solution that is examined at all
# (method, hard_dc, adder_size): by weighted or plain frequency of a pair, of free or least depth, by bits or by adders.
OPTIONS = (("wmc", -1, 1), ("wmc", 0, 1), ("mc", -1, -1))

Matrix = NDArray[np.float32]


def main() -> None:
    """Read, search and write until done or killed."""
    request = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, request["seconds"] + 5)  # in case nobody is left to kill this process
    best: float | None = None
    for cost, product in search(Problem.model_validate(request["problem"])):
        if best is None or cost < best:
            best = cost
            print(product.model_dump_json(), flush=True)
    print(json.dumps(DONE), flush=True)


def search(problem: Problem) -> Iterator[tuple[float, Product]]:
    """Products with their costs: of every order and option first, then the best ones' cheaper relatives."""
    found: list[tuple[float, int, Solution]] = []
    for solution in solutions(problem):
        product = solution.product(solution.shared())
        if product is not None:
            cost = problem.cost(product)
            found.append((cost, len(found), solution))
            yield cost, product
    for _, _, solution in sorted(found)[:PRUNED]:
        if len(solution.additions) <= EXAMINED:
            yield from improved(problem, solution)


def solutions(problem: Problem) -> Iterator[Solution]:
    """What da4ml finds in several orders of rows and columns."""
    kernel = np.array(problem.weight, dtype=np.float32).T  # [in, out], each weight below 2**24
    digits = sum(1 for row in problem.weight for factor in row for _ in signed_digits(factor))
    random = np.random.default_rng(0)
    rows, columns = kernel.shape
    if rows > BLOCK or columns > BLOCK:
        yield _blocks(problem, kernel)
    for order in range(max(1, min(ORDERS, DIGITS // max(1, digits)))):
        inputs = random.permutation(rows) if order else np.arange(rows)
        outputs = random.permutation(columns) if order else np.arange(columns)
        for option in OPTIONS:
            yield _solve(problem, kernel, inputs, outputs, option)


def _solve(
    problem: Problem,
    kernel: Matrix,
    inputs: NDArray[np.int64],
    outputs: NDArray[np.int64],
    option: tuple[str, int, int],
) -> Solution:
    from da4ml.cmvm import solve

    method, depth, size = option
    pipeline = solve(
        np.ascontiguousarray(kernel[inputs][:, outputs]),
        method0=method,
        hard_dc=depth,
        qintervals=[(float(low), float(high), 1.0) for low, high in (problem.ranges[place] for place in inputs)],
        latencies=[float(problem.depths[place]) for place in inputs],
        adder_size=size,
        carry_size=-1,
        search_all_decompose_dc=len(inputs) * len(outputs) <= BLOCK * BLOCK,
    )
    additions: list[Addition] = []
    values: list[tuple[int, Fraction] | None] = [(int(place), Fraction(1)) for place in inputs]
    for stage in pipeline.solutions:
        values = _stage(stage, values, additions, len(kernel))
    results: list[tuple[int, Fraction] | None] = [None] * kernel.shape[1]
    for place, value in zip(outputs, values, strict=True):
        results[int(place)] = value
    return Solution(len(kernel), additions, results)


def _stage(
    stage: object, values: Sequence[tuple[int, Fraction] | None], additions: list[Addition], inputs: int
) -> list[tuple[int, Fraction] | None]:
    """Append one part of da4ml's solution: copies of its inputs, then additions and subtractions."""
    buffer: list[tuple[int, Fraction]] = []
    for operation in stage.ops:  # type: ignore[attr-defined] - da4ml's CombLogic
        if operation.opcode == -1:
            source, factor = values[operation.id0] or (0, Fraction(0))
            buffer.append((source, factor * _power(stage.inp_shifts[operation.id0])))  # type: ignore[attr-defined]
            continue
        assert operation.opcode in (0, 1), operation
        (left, left_factor), (right, right_factor) = buffer[operation.id0], buffer[operation.id1]
        sign = -1 if operation.opcode == 1 else 1
        additions.append(Addition(left, left_factor, right, sign * right_factor * _power(operation.data)))
        buffer.append((inputs + len(additions) - 1, Fraction(1)))
    ends = zip(stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True)  # type: ignore[attr-defined]
    return [
        None if index < 0 else (buffer[index][0], buffer[index][1] * _power(shift) * (-1 if negative else 1))
        for index, shift, negative in ends
    ]


def _blocks(problem: Problem, kernel: Matrix) -> Solution:
    """A wide matrix in blocks, each solved alone: the blocks of a row of blocks are added up."""
    inputs, outputs = kernel.shape
    additions: list[Addition] = []
    results: list[tuple[int, Fraction] | None] = [None] * outputs
    for first_row in range(0, inputs, BLOCK):
        rows = np.arange(first_row, min(inputs, first_row + BLOCK))
        for first_column in range(0, outputs, BLOCK):
            columns = np.arange(first_column, min(outputs, first_column + BLOCK))
            part = _solve(problem, kernel, rows, columns, OPTIONS[0])
            moved = len(additions)

            def here(place: int, moved: int = moved) -> int:
                return place if place < inputs else place + moved

            additions += [
                Addition(here(step.left), step.left_factor, here(step.right), step.right_factor)
                for step in part.additions
            ]
            for column in columns:
                value, before = part.results[column], results[column]
                if value is None:
                    continue
                value = (here(value[0]), value[1])
                if before is not None:
                    additions.append(Addition(before[0], before[1], value[0], value[1]))
                    value = (inputs + len(additions) - 1, Fraction(1))
                results[column] = value
    return Solution(inputs, additions, results)


def _power(exponent: int) -> Fraction:
    return Fraction(2) ** int(exponent)


if __name__ == "__main__":
    main()
