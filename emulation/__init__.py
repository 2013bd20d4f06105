"""What a typed graph computes: executors of one graph, and the bit-accuracy comparison between them."""

from .executor import EXECUTORS, Executor, make_executor
from .inputs import Sizes, check_inputs

__all__ = ["EXECUTORS", "Executor", "Sizes", "check_inputs", "make_executor"]
