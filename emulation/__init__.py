"""What a typed graph computes: executors of one graph, and the bit-accuracy comparison between them."""

from .compare import Divergence, Ladder, Rung, compare_executors
from .executor import EXECUTORS, Executor, make_executor
from .inputs import Sizes, check_inputs
from .mutations import Mutation, MutationResult, try_mutations
from .vectors import extreme_vectors

__all__ = [
    "EXECUTORS",
    "Divergence",
    "Executor",
    "Ladder",
    "Mutation",
    "MutationResult",
    "Rung",
    "Sizes",
    "check_inputs",
    "compare_executors",
    "extreme_vectors",
    "make_executor",
    "try_mutations",
]
