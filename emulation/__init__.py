"""What a typed graph computes: executors of one graph, and the bit-accuracy comparison between them."""

from .compare import Divergence, Ladder, Rung, compare_executors
from .coverage import GraphCoverage, NodeCoverage
from .executor import EXECUTORS, Executor, make_executor
from .inputs import Sizes, check_inputs
from .mutations import Mutation, MutationResult, plan_mutations, try_mutation, try_mutations
from .vectors import extreme_vectors, format_vectors

__all__ = [
    "EXECUTORS",
    "Divergence",
    "Executor",
    "GraphCoverage",
    "Ladder",
    "Mutation",
    "MutationResult",
    "NodeCoverage",
    "Rung",
    "Sizes",
    "check_inputs",
    "compare_executors",
    "extreme_vectors",
    "format_vectors",
    "make_executor",
    "plan_mutations",
    "try_mutation",
    "try_mutations",
]
