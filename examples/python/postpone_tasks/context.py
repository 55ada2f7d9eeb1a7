"""The running job, as its handler sees it, and how a handler ends other than by returning."""

import datetime
import enum
import functools
import json
import math
import operator
import time

from . import frames, termination
from .texts import MOST_TEXT_BYTES, begin_of, shortened

_PROGRESS_INTERVAL_S = 0.1
_MOST_DEFERRED_BYTES = 15 * 1024 * 1024  # leaves room in the result's frame for everything else in it
_MOST_META_BYTES = 8 * 1024
_MOST_RESULT_BYTES = 1024 * 1024
_MOST_NOTE_BYTES = 256
_MOST_FIELD_BYTES = 16 * 1024
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class AbortReason(enum.IntEnum):
    REQUESTED = 0  # by a person or a program, or by Ctrl-C where it runs by hand
    TIME_LIMIT = 1
    SHUTDOWN = 2  # the process has to end


class Aborted(Exception):
    """The job ends as aborted. For a handler that stops because should_abort() is true."""


class Retry(Exception):
    """The job runs again in so many seconds, whatever waits the retry options of its task have. The retry may change the
    job's priority, queue and lock. With counts=False this attempt does not count against max_attempts; if it does, and none
    is left, the job has failed. Raises ValueError for what cannot be."""

    def __init__(self, seconds=0.0, reason="", *, priority=None, queue=None, lock=None, counts=True):
        super().__init__(reason or "the handler asked for a retry")
        if math.isnan(seconds):
            raise ValueError("a retry cannot wait for a time that is no number")
        if priority is not None and not -(1 << 31) <= operator.index(priority) < 1 << 31:
            raise ValueError(f"the priority of a retry has 32 bits, and cannot be {priority}")
        if queue is not None and not 1 <= len(queue) <= 128:
            raise ValueError(f"the queue of a retry has 1 to 128 characters, and not {len(queue)}")
        if lock is not None and not 1 <= len(lock.encode()) <= 2000:
            raise ValueError(f"the lock of a retry has 1 to 2000 bytes, and not {len(lock.encode())}")
        self.seconds = seconds
        self.priority = priority
        self.queue = queue
        self.lock = lock
        self.counts = counts


class BadArguments(ValueError):
    """The arguments cannot be used. The job is not retried as its task says, because the same arguments would fail again:
    what becomes of it, the group's bad_arguments says."""


def _count(number):
    if not 0 <= operator.index(number) < 1 << 64:
        raise ValueError(f"a progress counts from 0 up to what 64 bits hold, and not {number}")
    return number


def _meta(value):
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise TypeError(f"the meta of a deferred job is a dict, and not a {type(value).__name__}")
    text = json.dumps(value, allow_nan=False)
    if len(text) > _MOST_META_BYTES:
        raise ValueError("the meta of a deferred job is longer than 8 KiB: what is large belongs into its arguments")
    return text


class Context:
    """The job that a handler runs, valid until the handler returns. Use it from the thread of the handler alone."""

    def __init__(self, run, app, giver):
        self._run = run
        self._app = app
        self._giver = giver
        self._deadline = None
        if run.time_limit_ms > 0:
            self._deadline = time.monotonic() + run.time_limit_ms / 1000
        self._untold = None
        self._next_progress = 0.0
        self._result = None
        self._deferred_bytes = 0
        self.deferred = []
        self.args = {}  # as the job has them, before they are read for the handler's parameters
        self.abort_reason = None  # as of the last should_abort()

    @property
    def id(self):
        """Of the row in procrastinate_jobs; 0 when run by hand."""
        return self._run.job_id

    @property
    def attempt(self):
        """1 = the first."""
        return self._run.attempt

    @property
    def task(self):
        return self._run.task

    @property
    def queue(self):
        return self._run.queue

    @property
    def priority(self):
        return self._run.priority

    @property
    def lock(self):
        """None = none."""
        return self._run.lock or None

    @functools.cached_property
    def meta(self):
        """What came beside the arguments, a dict: who asked, a `traceparent`. Jobs that this job defers get it, too."""
        return json.loads(self._run.meta or "{}")

    @property
    def deferred_by(self):
        """The id of the job whose handler deferred this one; None when an application, a schedule or a person did."""
        return self._run.deferred_by

    @property
    def scheduled_at(self):
        """The time before which the job could not start, by the database's clock: a datetime in UTC. None when it was ready
        at once."""
        if self._run.scheduled_at_us is None:
            return None
        try:
            return _EPOCH + datetime.timedelta(microseconds=self._run.scheduled_at_us)
        except OverflowError:  # before the year 1; and nobody has waited for what comes after 9999
            return datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)

    def time_left(self):
        """Seconds until the time limit, negative when that has passed; None when there is none."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def should_abort(self):
        """True once the job should stop; abort_reason says why. Never blocks. After the first true, a handler that
        returns or raises Aborted has stopped early (no success, and what it deferred is not created), and one that
        goes on is killed after the group's abort_grace."""
        self.tell_untold_progress(time.monotonic())
        if self.abort_reason is None:
            self.abort_reason = self._look_for_abort_reason()
        return self.abort_reason is not None

    def progress(self, done, total=0, note=""):
        """How far the job is, in units of your own; total 0 = unknown. The note, of at most 256 bytes, says what it is about.
        Call it as often as you like: at most ten a second are sent."""
        self._untold = (_count(done), _count(total), begin_of(note, _MOST_NOTE_BYTES))
        self.tell_untold_progress(time.monotonic())

    def result(self, value):
        """What the job has come to: anything that json.dumps() takes, at most 1 MiB of it. It is kept with the job if that
        succeeds; the last call counts. Raises ValueError or TypeError for what cannot be."""
        text = json.dumps(value, allow_nan=False)
        if len(text) > _MOST_RESULT_BYTES:
            raise ValueError(
                f"the result of job {self.id} has {len(text)} bytes, more than the 1 MiB that a result may have: "
                "store it elsewhere, and give back where"
            )
        self._result = text

    def log(self, level, text, /, **fields):
        """A line of the supervisor's log, with the job's id, task and attempt: job.log("warning", "it is slow", ms=1200).
        Levels are "debug", "info", "warning" and "error". The text is cut at 8 KiB; fields of more than 16 KiB are left
        out."""
        if level not in frames.LEVELS:
            raise ValueError(f'"{level}" is no level of a log line: write one of {", ".join(frames.LEVELS)}')
        told = json.dumps(fields, allow_nan=False)
        if len(told) > _MOST_FIELD_BYTES:  # a frame might not hold them, or they would count as a flood of output
            why = f" (its fields are left out: {len(told)} bytes, of at most {_MOST_FIELD_BYTES})"
            text, told = begin_of(text, MOST_TEXT_BYTES - len(why)) + why, "{}"
        self._giver.log(self.id, level, shortened(text), told)

    def retry_in(self, seconds, reason="", **changes):
        """Raises Retry, which says what the changes may be."""
        raise Retry(seconds, reason, **changes)

    def retry_at(self, when, reason="", **changes):
        """The same, for a datetime with a time zone, by this host's clock; at once when it has passed."""
        self.retry_in((when - datetime.datetime.now(datetime.timezone.utc)).total_seconds(), reason, **changes)

    def defer(self, task, args=None, *, queue=None, priority=None, lock=None, queueing_lock=None, delay=0.0, meta=None):
        """Creates a job in the transaction that records this job's success: both happen or neither does. A task of this
        program has the options that it was registered with, any other the queue "default", priority 0 and no locks;
        what is given here comes first, and "" as a lock means none. `delay` in seconds. `meta` is a dict; without it the
        job gets that of this job, and with {} none. Raises ValueError for what cannot be, TypeError for arguments that are
        no JSON."""
        if not task:
            raise ValueError("a job cannot be deferred without the name of its task")
        if delay < 0:
            raise ValueError("a job cannot be deferred with a negative delay")
        usual = self._app.options_of(task)
        job = frames.DeferredJob(
            task=task,
            args=json.dumps(args or {}, allow_nan=False),
            queue=usual.queue if queue is None else queue,
            priority=usual.priority if priority is None else priority,
            lock=(usual.lock if lock is None else lock) or None,
            queueing_lock=(usual.queueing_lock if queueing_lock is None else queueing_lock) or None,
            delay_us=int(delay * 1_000_000),
            meta=_meta(meta),
        )
        self._deferred_bytes += len(frames.deferred(job)) + len(job.meta)
        if self._deferred_bytes > _MOST_DEFERRED_BYTES:
            raise ValueError(
                f"job {self.id} defers more than 15 MiB ({len(self.deferred)} jobs so far): "
                "let it defer fewer jobs that defer the rest"
            )
        self.deferred.append(job)

    def tell_result(self):
        if self._result is not None:
            self._giver.tell_value(self.id, self._result)

    def tell_untold_progress(self, now=None):
        """Sends the progress that is not sent yet, if it is time to; without a `now` it is."""
        if self._untold is None or (now is not None and now < self._next_progress):
            return
        self._giver.tell_progress(self.id, *self._untold)
        self._untold = None
        self._next_progress = (now or 0.0) + _PROGRESS_INTERVAL_S

    # The giver comes first: it knows the reason, and a signal may be only what it sent along.
    def _look_for_abort_reason(self):
        wish = self._giver.stop_wish(self.id)
        if wish is not None:
            return AbortReason(wish)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return AbortReason.TIME_LIMIT
        return termination.wish(AbortReason)
