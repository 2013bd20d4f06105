"""Which sums of a matrix product to share, by the LUTs that they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from ..core import StrictModel
from .rtl_core_cost import lut_estimate
from .rtl_core_netlist import Netlist
from .rtl_core_products import Product, sharing_product

LEVEL_SHARE = 0.005  # of the LUTs, that a level of logic may cost

Factors = dict[int, Fraction]


class Problem(StrictModel):
    """A matrix product to find.

    Attributes:
        weight: The matrix, a row for each result.
        constants: What is added to each result.
        ranges: Smallest and largest value of each input.
        depths: Levels of logic before each input.
    """

    weight: list[list[int]]
    constants: list[int]
    ranges: list[tuple[int, int]]
    depths: list[int]

    def cost(self, product: Product) -> float:
        """LUTs of a product, and a little for each level of logic."""
        netlist = Netlist()
        sources = [
            netlist.input(offset=64 * place, bits=64, low=low, high=high, depth=depth)
            for place, ((low, high), depth) in enumerate(zip(self.ranges, self.depths, strict=True))
        ]
        results = [netlist.positive(term) for term in product.build(netlist, sources, self.constants)]
        depth = max(netlist.depth(term) for term in results) - min(self.depths)
        return lut_estimate(netlist, results) * (1 + LEVEL_SHARE * depth)


class Addition(NamedTuple):
    """`left_factor * value[left] + right_factor * value[right]`; values are the inputs, then the additions in order."""

    left: int
    left_factor: Fraction
    right: int
    right_factor: Fraction


class Solution(NamedTuple):
    """A matrix product as a solver gives it: additions of two values each, and (value, factor) of each result."""

    inputs: int
    additions: list[Addition]
    results: list[tuple[int, Fraction] | None]

    def shared(self) -> frozenset[int]:
        """Additions that more than one sum reads."""
        uses = Counter(place for step in self.additions for place in (step.left, step.right))
        uses.update(result[0] for result in self.results if result is not None)
        return frozenset(place for place, count in uses.items() if place >= self.inputs and count > 1)

    def product(self, kept: frozenset[int]) -> Product | None:
        """The product with these additions shared and all others a part of the sums that read them.

        Returns:
            None where a sum would read a half of a shared one.
        """
        known: list[Factors] = [{place: Fraction(1)} for place in range(self.inputs)]
        shared: list[Mapping[int, int]] = []
        for place, step in enumerate(self.additions, start=self.inputs):
            form = _combined((known[step.left], step.left_factor), (known[step.right], step.right_factor))
            if place in kept and form:
                unit = Fraction(1, max(factor.denominator for factor in form.values()))
                shared.append({source: int(factor / unit) for source, factor in form.items()})
                form = {self.inputs + len(shared) - 1: unit}
            known.append(form)
        results = [_combined((known[result[0]], result[1])) if result else {} for result in self.results]
        if any(factor.denominator != 1 for form in results for factor in form.values()):
            return None
        whole = [{source: int(factor) for source, factor in form.items()} for form in results]
        return sharing_product(self.inputs, shared, whole)


def _combined(*parts: tuple[Factors, Fraction]) -> Factors:
    form: Factors = {}
    for factors, scale in parts:
        for source, factor in factors.items():
            form[source] = form.get(source, Fraction(0)) + scale * factor
    return {source: factor for source, factor in form.items() if factor}


def improved(problem: Problem, solution: Solution) -> Iterator[tuple[float, Product]]:
    """Products made of a solver's solution, each cheaper than those before.

    Sharing an addition costs an adder of its own and saves a term wherever it is read, which for two readers may not
    pay: terms of a long sum are cheap.
    """
    kept = solution.shared()
    best: float | None = None
    product = solution.product(kept)
    if product is not None:
        best = problem.cost(product)
        yield best, product
    changed = True
    while changed:
        changed = False
        for place in sorted(kept, reverse=True):
            product = solution.product(kept - {place})
            cost = None if product is None else problem.cost(product)
            if product is not None and cost is not None and (best is None or cost < best):
                best, kept, changed = cost, kept - {place}, True
                yield cost, product
