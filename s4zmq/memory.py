"""How this process keeps the memory that it has freed. Nothing else lives here."""

from __future__ import annotations

import functools
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS = 2
_KEPT_BYTES = 8 << 20
_MAPPED_FROM_BYTES = 4 << 20


_hosts: list[object] = []


def be_guest(host: object) -> None:
    """This process is not ours, as `host` says: from now on its memory is left alone."""
    _hosts[:] = [host]


def keep_freed_buffers() -> None:
    """Let chunks reuse the memory of the chunks before them, unless we are a guest here."""
    if not _hosts:
        _keep_freed_buffers()


@functools.cache
def _keep_freed_buffers() -> None:
    """By default glibc gives a freed buffer of a mebibyte back to the kernel, and the next one pays
    for 256 page faults. Processor time of client and node together for 1 GiB over loopback: to a
    file 1.14 s, with this 0.98; to /dev/null 0.73 and 0.59. At most 8 MiB are kept for each of two
    arenas: with one a thread, a node that had served forty clients stayed at 84 MiB, now at 22. A C
    library without `mallopt` is left as it is.
    """
    mallopt = _libc("mallopt")
    if mallopt:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def release_freed_buffers() -> None:
    """Give back what is kept, of all arenas: for a node that has nothing to do."""
    malloc_trim = _libc("malloc_trim")
    if malloc_trim:
        malloc_trim(0)


def _libc(name: str) -> Any:
    import ctypes  # a small command never comes here

    return getattr(ctypes.CDLL(None), name, None)
