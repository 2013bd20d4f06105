"""What is built: hls4ml projects with graph layers of our own, and their compiled C simulation.

hls4ml itself is imported only when a project is written.
"""

from .cache import cached_project
from .compile import compile_csim
from .layers import static_shape
from .project import HlsProject, ProjectConfig
from .streams import Stream, project_streams
from .synthesis_reports import read_reports
from .vectors import pad_inputs, write_vectors
from .vendor import vendor_results
from .writer import write_project

__all__ = [
    "HlsProject",
    "ProjectConfig",
    "Stream",
    "cached_project",
    "compile_csim",
    "pad_inputs",
    "project_streams",
    "read_reports",
    "static_shape",
    "vendor_results",
    "write_project",
    "write_vectors",
]
