"""What every room needs: errors, strict configuration, atomic files, run directories, progress, tools."""

from .compiler import (
    cache_directory,
    cache_error,
    compile_library,
    compile_object,
    compiler_version,
    processor_fingerprint,
)
from .config import StrictModel, load_config
from .errors import (
    ConfigError,
    ContractError,
    DataError,
    DeadlockError,
    GraphError,
    HitfabricError,
    HitfabricWarning,
    MissingToolError,
    ServiceError,
    ToolError,
)
from .files import CORRUPT, atomic_directory, atomic_file, make_temporary_directory
from .progress import progress
from .run_directory import RunDirectory
from .tools import find_tool
from .verbosity import Verbosity, speaking, verbosity

__all__ = [
    "CORRUPT",
    "ConfigError",
    "ContractError",
    "DataError",
    "DeadlockError",
    "GraphError",
    "HitfabricError",
    "HitfabricWarning",
    "MissingToolError",
    "RunDirectory",
    "ServiceError",
    "StrictModel",
    "ToolError",
    "Verbosity",
    "atomic_directory",
    "atomic_file",
    "cache_directory",
    "cache_error",
    "compile_library",
    "compile_object",
    "compiler_version",
    "find_tool",
    "load_config",
    "make_temporary_directory",
    "processor_fingerprint",
    "progress",
    "speaking",
    "verbosity",
]
