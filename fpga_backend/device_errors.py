"""Errors of devices."""

from __future__ import annotations

from ..core import ToolError


class DeviceLostError(ToolError):
    """The device did not end a run in time: the state of the card and of this process's buffers is unknown.

    A worker must end itself on it, so that the next one opens the card anew.
    """
