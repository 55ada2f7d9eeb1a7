"""The running job, as its handler sees it, and how a handler ends other than by returning."""

import enum
import json
import time

from . import frames, termination

_PROGRESS_INTERVAL_S = 0.1
_MOST_DEFERRED_BYTES = 15 * 1024 * 1024  # leaves room in the result's frame for everything else in it


class AbortReason(enum.IntEnum):
    REQUESTED = 0  # by a person or a program, or by Ctrl-C where it runs by hand
    TIME_LIMIT = 1
    SHUTDOWN = 2  # the process has to end


class Aborted(Exception):
    """The job ends as aborted. For a handler that stops because should_abort() is true."""


class Retry(Exception):
    """The job runs again in so many seconds, whatever the retry options of its task say."""

    def __init__(self, seconds=0.0, reason=""):
        super().__init__(reason or "the handler asked for a retry")
        self.seconds = seconds


class BadArguments(ValueError):
    """The arguments cannot be used. The job fails at once and is not retried: the same arguments would fail again."""


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

    def progress(self, done, total=0):
        """How far the job is, in units of your own; total 0 = unknown. Call it as often as you like: at most ten a
        second are sent."""
        self._untold = (done, total)
        self.tell_untold_progress(time.monotonic())

    def defer(self, task, args=None, *, queue=None, priority=None, lock=None, queueing_lock=None, delay=0.0):
        """Creates a job in the transaction that records this job's success: both happen or neither does. A task of this
        program has the options that it was registered with, any other the queue "default", priority 0 and no locks;
        what is given here comes first, and "" as a lock means none. `delay` in seconds. Raises ValueError for what
        cannot be, TypeError for arguments that are no JSON."""
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
        )
        self._deferred_bytes += len(frames.deferred(job))
        if self._deferred_bytes > _MOST_DEFERRED_BYTES:
            raise ValueError(
                f"job {self.id} defers more than 15 MiB ({len(self.deferred)} jobs so far): "
                "let it defer fewer jobs that defer the rest"
            )
        self.deferred.append(job)

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
