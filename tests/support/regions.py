"""Regions of shared memory that a server may still hold."""

from __future__ import annotations

from collections.abc import Callable

from .processes import eventually


def unregistered(unregister: Callable[[], object]) -> bool:
    """Whether the server forgets a region: it answers before it lets go of the request, and refuses until then."""

    def forgotten() -> bool:
        try:
            unregister()
        except Exception as error:  # one class per client library
            if "in use" not in str(error):
                raise
            return False
        return True

    return eventually(forgotten)
