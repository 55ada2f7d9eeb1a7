"""The ledger: memory that the sub-worker shares, in which a set notes how far it is.

The cursor moves by compare-exchange, which Python does not have. libatomic does: a library of GCC, in Debian the package
libatomic1. Without it, and under a sub-worker that gives no ledger, this library speaks version 1 of the protocol: jobs
come one by one, and what came with version 3 (results, log lines, meta, ...) is left out.
"""

import ctypes
import mmap
import os

from .channel import ChannelError, descriptor_of
from .frames import MOST_JOBS

VARIABLE = "POSTPONE_TASK_LEDGER"

_RELAXED, _ACQ_REL = 0, 4  # __ATOMIC_RELAXED, __ATOMIC_ACQ_REL


class _Entry(ctypes.Structure):
    _fields_ = [
        ("started_ns", ctypes.c_int64),
        ("ended_ns", ctypes.c_int64),
        ("cpu_us", ctypes.c_uint64),
        ("max_rss_bytes", ctypes.c_uint64),
    ]


class _Memory(ctypes.Structure):
    _fields_ = [("cursor", ctypes.c_uint64), ("entries", _Entry * MOST_JOBS)]


def compare_exchange():
    """libatomic's function for 64 bits, None where there is no libatomic."""
    try:
        function = ctypes.CDLL("libatomic.so.1")["__atomic_compare_exchange_8"]
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_bool
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
    return function


def _map(value):
    """The address of the memory. Not by mmap.mmap(), which keeps a descriptor of it."""
    fd = descriptor_of(VARIABLE, value)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = ctypes.sizeof(_Memory)
    address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)
    if address == ctypes.c_void_p(-1).value:
        why = os.strerror(ctypes.get_errno())
        raise ChannelError(f"{VARIABLE} is set, but descriptor {value} is no ledger: {why}")
    os.close(fd)
    libc.madvise(address, size, mmap.MADV_DONTFORK)  # what a handler forks has nothing to note here
    return address


class Ledger:
    def __init__(self, value, exchange):
        self._address = _map(value)
        self._memory = _Memory.from_address(self._address)
        self._exchange = exchange
        self._expected = ctypes.c_uint64()

    def begins(self, at_ns):
        """The first job of a set runs from this moment on (CLOCK_MONOTONIC)."""
        self._memory.entries[0].started_ns = at_ns

    def passes(self, number, index, started_ns, ended_ns, usage):
        """The job at `index` of this set was plain; there is a next one, which runs from its end on. False when that
        must not run, because the sub-worker has singled this one out."""
        entry = self._memory.entries[index]
        entry.started_ns = started_ns
        entry.ended_ns = ended_ns
        entry.cpu_us = usage.cpu_us
        entry.max_rss_bytes = usage.max_rss_bytes
        self._memory.entries[index + 1].started_ns = ended_ns
        here = number << 33 | index
        self._expected.value = here
        return self._exchange(self._address, ctypes.addressof(self._expected), here + 1, _ACQ_REL, _RELAXED)


def open_ledger():
    """The ledger that the environment names, None where there is none or sets cannot be kept."""
    value = os.environ.pop(VARIABLE, None)
    if value is None:
        return None
    exchange = compare_exchange()
    if exchange is None:
        os.close(descriptor_of(VARIABLE, value))
        return None
    return Ledger(value, exchange)
