"""Which server to ask next: from a list or a DNS name, those that failed later."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from .client_config import TritonConfig, split_address
from .client_interface import UnavailableError

LOG = logging.getLogger(__name__)

Resolver = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """Addresses (`host:port`, IPv6 in brackets) a DNS name stands for, without repetition.

    Raises:
        OSError: The name is not known, or no DNS server answers.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    hosts = [str(address[0]) for _, _, _, _, address in found]
    return list(dict.fromkeys(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts))


class ServerPool:
    """Servers in the order to ask them; may be used from several threads.

    Args:
        config: List or DNS name, balance and how long a failed server is left out.
        resolver: Looks a DNS name up.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, *, config: TritonConfig, resolver: Resolver = resolve, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._resolver = resolver
        self._clock = clock
        self._lock = threading.Lock()
        self._servers: tuple[str, ...] = () if config.dns else config.servers
        self._skip_until: dict[str, float] = {}
        self._resolved: float | None = None
        self._turn = 0

    @property
    def known(self) -> tuple[str, ...]:
        """Every server, well or not."""
        return self._servers

    @property
    def name(self) -> str:
        """The servers in words, for messages."""
        return self._config.dns or ", ".join(self._servers)

    def refresh_due(self) -> bool:
        """Whether the DNS name should be looked up (again): never was, long ago, or no address is well."""
        if self._config.dns is None:
            return False
        with self._lock:
            old = self._resolved is None or self._clock() - self._resolved >= self._config.dns_refresh_s
            return old or not self._well()

    def refresh(self, timeout: float) -> None:
        """Look the DNS name up; where that fails, the addresses known so far stay.

        Args:
            timeout: Longest time in seconds; the system's resolver has none, and may try for a minute.

        Raises:
            UnavailableError: It fails, and no address is known.
        """
        if self._config.dns is None:
            return
        host, port = split_address(self._config.dns)
        try:
            servers = _within(timeout, lambda: tuple(self._resolver(host, port)))
        except OSError as error:
            if not self._servers:
                raise UnavailableError(
                    f"no server answers at {self._config.dns}: the name is not known ({error})",
                    remedy="check the name, or list servers",
                ) from error
            LOG.warning("%s cannot be looked up (%s): its last addresses stay", host, error)
            return
        with self._lock:
            self._resolved = self._clock()
            if servers:
                self._servers = servers
                self._skip_until = {key: value for key, value in self._skip_until.items() if key in servers}

    def candidates(self) -> tuple[str, ...]:
        """Servers to ask in this round: those that are well, or all where none is."""
        with self._lock:
            found = self._well() or list(self._servers)
            if self._config.balance == "round-robin":
                start, self._turn = self._turn % max(len(found), 1), self._turn + 1
                found = found[start:] + found[:start]
            return tuple(found)

    def failed(self, server: str) -> None:
        """Leave a server out for a while."""
        with self._lock:
            self._skip_until[server] = self._clock() + self._config.skip_s

    def answered(self, server: str) -> None:
        """A server is well."""
        with self._lock:
            self._skip_until.pop(server, None)

    def _well(self) -> list[str]:
        now = self._clock()
        return [server for server in self._servers if self._skip_until.get(server, now) <= now]


def _within(timeout: float, look_up: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """What a look-up finds.

    Raises:
        OSError: It failed, or took too long.
    """
    found: Future[tuple[str, ...]] = Future()

    def run() -> None:
        try:
            found.set_result(look_up())
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            found.set_exception(error)

    # Not a pool's thread: the program would wait for those at its end.
    threading.Thread(target=run, name="hitfabric-look-up", daemon=True).start()
    try:
        return found.result(timeout)
    except TimeoutError:
        raise TimeoutError(f"no answer within {timeout:g} s") from None
