"""The frames of docs/protocol.md: those of a sub-worker are decoded, those of a task process encoded.

In version 3 of the protocol, or in version 1, which has no sets and leaves out what is marked "from version 3 on".
"""

import enum
import struct
from dataclasses import dataclass, field

VERSION = 3
VERSION_WITHOUT_SETS = 1

MAGIC = 0x5050544B
MOST_FRAME_BYTES = 16 * 1024 * 1024
MOST_JOBS = 128
HIGHEST_SET = 0x7FFFFFFF


class ProtocolError(Exception):
    """The sub-worker does not speak this protocol."""


class Type(enum.IntEnum):
    HELLO = 1
    WELCOME = 2
    REFUSE = 3
    RUN = 4
    ABORT = 5
    PROGRESS = 6
    RESULT = 7
    STACK = 8
    RUNS = 9
    VALUE = 10  # from version 3 on
    LOG = 11  # likewise


class Tag(enum.IntEnum):
    """What may stand behind the fields of a body, from version 3 on."""

    META = 1
    NOTE = 2
    DEFERRED_BY = 3


class Status(enum.IntEnum):
    SUCCEEDED = 0
    EXCEPTION = 1
    BAD_ARGUMENTS = 2
    UNKNOWN_TASK = 3
    ABORTED = 4


LEVELS = ("debug", "info", "warning", "error")  # of a log frame, by their numbers


class Welcome:
    pass


@dataclass(slots=True)
class Refuse:
    reason: str


@dataclass(slots=True)
class Run:
    job_id: int = 0
    attempt: int = 1
    task: str = ""
    queue: str = ""
    priority: int = 0
    lock: str = ""  # empty = none
    args: str = "{}"  # JSON text
    time_limit_ms: int = 0  # 0 = none
    # From version 3 on:
    scheduled_at_us: int | None = None  # since 1970
    meta: str = ""  # JSON text; empty = none
    deferred_by: int | None = None


@dataclass(slots=True)
class Runs:
    set: int
    max_rss_bytes: int  # 0 = no limit
    runs: list


@dataclass(slots=True)
class Abort:
    job_id: int
    reason: int


@dataclass(slots=True)
class DeferredJob:
    task: str
    args: str
    queue: str
    priority: int
    lock: str | None
    queueing_lock: str | None
    delay_us: int
    meta: str = ""  # JSON text; empty = that of the job which defers it; from version 3 on


@dataclass(slots=True)
class Result:
    job_id: int
    status: Status = Status.SUCCEEDED
    exception_type: str = ""
    message: str = ""
    abort_reason: int | None = None
    retryable: bool = True
    retry_in_us: int | None = None
    # From version 3 on, with a retry_in_us:
    retry_counts: bool = True
    retry_priority: int | None = None
    retry_queue: str | None = None
    retry_lock: str | None = None
    cpu_us: int = 0
    max_rss_bytes: int = 0
    defers: list = field(default_factory=list)


# --- reading ---


class _Reader:
    def __init__(self, name, body, version):
        self._name = name
        self._body = body
        self._at = 0
        self.version = version

    def integers(self, layout):
        """So many integers, in one step: "<qi" for an i64 and an i32."""
        try:
            values = struct.unpack_from(layout, self._body, self._at)
        except struct.error:
            raise ProtocolError(f"the body of {self._name} is too short") from None
        self._at += struct.calcsize(layout)
        return values

    def text(self):
        (size,) = self.integers("<I")
        end = self._at + size
        if end > len(self._body):
            raise ProtocolError(f"the body of {self._name} is too short")
        text = self._body[self._at : end].decode("utf-8", "surrogateescape")  # it may be no UTF-8
        self._at = end
        return text

    def optional_integer(self, layout):
        (flag,) = self.integers("<B")
        if flag > 1:
            raise ProtocolError(f"the body of {self._name} has {flag} as its flag")
        return self.integers(layout)[0] if flag else None

    def tail(self):
        """The pieces behind the fields, each as (tag, text)."""
        while self.version >= 3 and self._at != len(self._body):
            (tag,) = self.integers("<B")
            yield tag, self.text()


    def expect_end(self):
        if self._at != len(self._body):
            raise ProtocolError(f"the body of {self._name} has {len(self._body) - self._at} bytes too many")


def _read_fields_of_run(body):
    job_id, attempt = body.integers("<qi")
    task, queue = body.text(), body.text()
    (priority,) = body.integers("<i")
    lock, args = body.text(), body.text()
    (time_limit_ms,) = body.integers("<q")
    scheduled_at_us = body.optional_integer("<q") if body.version >= 3 else None
    return Run(job_id, attempt, task, queue, priority, lock, args, time_limit_ms, scheduled_at_us)


def _job_id(text):
    try:
        return int(text) if text else None
    except ValueError:
        raise ProtocolError(f'a frame says that a job was deferred by "{text}", which is no number') from None


def _with_tail(runs, pieces):
    """The pieces of a tag are in the order of the jobs. Tags that we do not know are passed over: a later version may have
    more of them."""
    metas, deferred_by = [], []
    for tag, text in pieces:
        if tag == Tag.META:
            metas.append(text)
        elif tag == Tag.DEFERRED_BY:
            deferred_by.append(_job_id(text))
    for what, values in (("meta", metas), ("who deferred", deferred_by)):
        if len(values) > len(runs):
            raise ProtocolError(f"a frame has {what} for more jobs than it has")
    for run, meta in zip(runs, metas):
        run.meta = meta
    for run, job_id in zip(runs, deferred_by):
        run.deferred_by = job_id
    return runs


def _read_run(body):
    return _with_tail([_read_fields_of_run(body)], body.tail())[0]


def _read_runs(body):
    number, max_rss_bytes, count = body.integers("<IQI")
    if number > HIGHEST_SET:
        raise ProtocolError("a runs frame has an impossible set number")
    if not 1 <= count <= MOST_JOBS:
        raise ProtocolError("a runs frame has too many jobs, or none")
    runs = [_read_fields_of_run(body) for _ in range(count)]
    return Runs(number, max_rss_bytes, _with_tail(runs, body.tail()))


def _read_abort(body):
    job_id, reason = body.integers("<qB")
    if reason > 2:
        raise ProtocolError(f"the body of abort has {reason} as its reason")
    return Abort(job_id, reason)


_READERS = {
    Type.WELCOME: lambda body: Welcome(),
    Type.REFUSE: lambda body: Refuse(body.text()),
    Type.RUN: _read_run,
    Type.ABORT: _read_abort,
    Type.RUNS: _read_runs,
}


def _decode(number, body, version):
    try:
        kind = Type(number)
    except ValueError:
        raise ProtocolError(f"a frame has the unknown type {number}") from None
    if kind not in _READERS:
        raise ProtocolError("the sub-worker sent a frame that only task processes send")
    reader = _Reader(kind.name.lower(), body, version)
    frame = _READERS[kind](reader)
    reader.expect_end()
    return frame


class Decoder:
    """Cuts a stream of bytes into frames: append() what was read, then take next() until it returns None."""

    def __init__(self, version=VERSION):
        self._version = version
        self._bytes = bytearray()

    def append(self, some):
        self._bytes += some

    def next(self):
        if len(self._bytes) < 4:
            return None
        (length,) = struct.unpack_from("<I", self._bytes)
        if length == 0:
            raise ProtocolError("a frame has the length 0")
        if length > MOST_FRAME_BYTES:
            raise ProtocolError(f"a frame has the length {length}, more than the allowed {MOST_FRAME_BYTES}")
        if len(self._bytes) < 4 + length:
            return None
        body = bytes(self._bytes[5 : 4 + length])
        number = self._bytes[4]
        del self._bytes[: 4 + length]
        return _decode(number, body, self._version)


# --- writing ---


def _text(value):
    encoded = value.encode("utf-8", "backslashreplace")
    return struct.pack("<I", len(encoded)) + encoded


def _optional_text(value):
    return b"\0" if value is None else b"\1" + _text(value)


def _optional_integer(layout, value):
    return b"\0" if value is None else b"\1" + struct.pack(layout, value)


def _piece(tag, text):
    """Of a tail."""
    return struct.pack("<B", tag) + _text(text)


def _frame(kind, body):
    return struct.pack("<IB", 1 + len(body), kind) + body


def hello(version, library, description):
    return _frame(Type.HELLO, struct.pack("<IH", MAGIC, version) + _text(library) + _text(description))


def progress(job_id, done, total, note, version=VERSION):
    tail = _piece(Tag.NOTE, note) if note and version >= 3 else b""
    return _frame(Type.PROGRESS, struct.pack("<qQQ", job_id, done, total) + tail)


def value(job_id, json_text):
    """From version 3 on."""
    return _frame(Type.VALUE, struct.pack("<q", job_id) + _text(json_text))


def log(job_id, level, text, fields):
    """From version 3 on. `level` is one of LEVELS."""
    return _frame(Type.LOG, struct.pack("<qB", job_id, LEVELS.index(level)) + _text(text) + _text(fields))


def deferred(job):
    """A deferred job as it stands in a result. Its meta comes in the tail."""
    return b"".join(
        (
            _text(job.task),
            _text(job.args),
            _text(job.queue),
            struct.pack("<i", job.priority),
            _optional_text(job.lock),
            _optional_text(job.queueing_lock),
            struct.pack("<q", job.delay_us),
        )
    )


def _retry_fields(of):
    return [
        struct.pack("<B", of.retry_counts),
        _optional_integer("<i", of.retry_priority),
        _optional_text(of.retry_queue),
        _optional_text(of.retry_lock),
    ]


def result(of, version=VERSION):
    body = [
        struct.pack("<qB", of.job_id, of.status),
        _text(of.exception_type),
        _text(of.message),
        _optional_integer("<B", of.abort_reason),
        struct.pack("<B", of.retryable),
        _optional_integer("<q", of.retry_in_us),
    ]
    if version >= 3:
        body += _retry_fields(of)
    body.append(struct.pack("<QQI", of.cpu_us, of.max_rss_bytes, len(of.defers)))
    body += [deferred(job) for job in of.defers]
    if version >= 3 and any(job.meta for job in of.defers):
        body += [_piece(Tag.META, job.meta) for job in of.defers]
    return _frame(Type.RESULT, b"".join(body))
