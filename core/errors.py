"""One error base class: what went wrong and what to do next, in one line."""

from __future__ import annotations


class HitfabricWarning(UserWarning):
    """What the user should know about a result that is right: one line, with a remedy."""


class HitfabricError(Exception):
    """An error the user can act on.

    Args:
        message: What went wrong, naming the file, tensor, module or limit; line ends in it become spaces.
        remedy: What to do next.

    """

    def __init__(self, message: str, *, remedy: str) -> None:
        self.message = " ".join(message.splitlines())
        self.remedy = remedy
        super().__init__(f"{self.message}; {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling that process pools use.
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(kind: type[HitfabricError], message: str, remedy: str) -> HitfabricError:
    return kind(message, remedy=remedy)


class ConfigError(HitfabricError):
    """A configuration file or option is wrong."""


class DataError(HitfabricError):
    """Events or graphs given by the user are wrong."""


class ContractError(HitfabricError):
    """A model breaks the quantization-aware training contract."""


class GraphError(HitfabricError):
    """A typed graph is malformed, or data exceeds the sizes it was built for."""


class DeadlockError(GraphError):
    """Streams of a dataflow design are too shallow: its processes wait for each other.

    Args:
        message: As for every error.
        remedy: As for every error.
        streams: Full streams of the circular wait; one of them must be deeper.
        waits: What each waiting process waits for, the circular wait first.

    """

    def __init__(
        self, message: str, *, remedy: str, streams: tuple[str, ...] = (), waits: tuple[str, ...] = ()
    ) -> None:
        self.streams = streams
        self.waits = waits
        super().__init__(message, remedy=remedy)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_deadlock, (self.message, self.remedy, self.streams, self.waits))


def _rebuild_deadlock(message: str, remedy: str, streams: tuple[str, ...], waits: tuple[str, ...]) -> DeadlockError:
    return DeadlockError(message, remedy=remedy, streams=streams, waits=waits)


class ToolError(HitfabricError):
    """A compiler, server or other tool is missing or failed."""


class MissingToolError(ToolError):
    """A compiler, server or other tool is not installed."""


class ServiceError(HitfabricError):
    """A server is unreachable, or refused the request."""
