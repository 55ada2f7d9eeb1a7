"""A task process that a sub-worker serves: docs/protocol.md, "The conversation" and "The ledger"."""

import os
import sys
import time

from . import frames, ledger, process, termination
from . import app as app_
from .channel import VARIABLE, Channel, ChannelError
from .context import AbortReason
from .execute import execute, flush_output
from .texts import log_line

_PROTOCOL_EXIT = 70  # EX_SOFTWARE
_FAILED_EXIT = 1  # of a set-up or a tear-down


def _complain(what):
    print(f"postpone_tasks: {what}", file=sys.stderr, flush=True)


def _read_stdin_from_nowhere():
    """A handler that fails to read is better off than one that waits for a person to type."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


class _Server:
    def __init__(self, app, channel, its_ledger, version):
        self._app = app
        self._channel = channel
        self._ledger = its_ledger
        self._version = version
        self._surroundings = process.Surroundings()
        self._traces = process.Traces()
        self._usage = process.UsageMeter()
        self._has_told = False  # its progress, its result or a line for the log, the job that runs

    def greet(self):
        """Whether the sub-worker takes us."""
        self._channel.send(frames.hello(self._version, app_.VERSION, self._app.describe(self._version)))
        answer = self._channel.receive()
        if answer is None:
            raise ChannelError("the sub-worker closed the channel instead of answering the hello")
        if isinstance(answer, frames.Refuse):
            _complain(f"the sub-worker refuses this task executable: {answer.reason}")
            return False
        if not isinstance(answer, frames.Welcome):
            raise frames.ProtocolError("the sub-worker answered the hello neither with welcome nor with refuse")
        return True

    def serve_until_closed(self):
        while (frame := self._channel.receive()) is not None:
            if isinstance(frame, frames.Run):
                self._serve_job(frame)
            elif isinstance(frame, frames.Runs):
                self._serve_set(frame)
            elif not isinstance(frame, frames.Abort):  # which may come too late for its job
                raise frames.ProtocolError("the sub-worker sent a frame out of turn")

    # --- for the job that runs ---
    # An error on the channel while the handler runs is not the handler's: the process ends here, where no handler can
    # catch it.

    def stop_wish(self, job_id):
        try:
            while (frame := self._channel.poll()) is not None:
                if not isinstance(frame, frames.Abort):
                    raise frames.ProtocolError("the sub-worker sent something else than abort while a job runs")
                if frame.job_id == job_id:
                    return frame.reason
        except (ChannelError, frames.ProtocolError) as error:
            self._give_up(error)
        return AbortReason.SHUTDOWN if self._channel.is_closed else None

    def tell_progress(self, job_id, done, total, note):
        self._tell(self._channel.send_if_free, frames.progress(job_id, done, total, note, self._version))

    def tell_value(self, job_id, value):
        if self._version < 3:
            return _complain(f"the result of job {job_id} is lost: the protocol has results from version 3 on")
        self._tell(self._channel.send, frames.value(job_id, value))

    def log(self, job_id, level, text, fields):
        if self._version < 3:
            return print(log_line(level, text, fields), file=sys.stderr, flush=True)
        self._tell(self._channel.send, frames.log(job_id, level, text, fields))

    def _tell(self, send, frame):
        self._has_told = True
        try:
            send(frame)
        except ChannelError as error:
            self._give_up(error)

    @staticmethod
    def _give_up(error):
        _complain(error)
        flush_output()
        os._exit(_PROTOCOL_EXIT)

    # --- one job, or a set ---

    def _run_job(self, run):
        termination.forget()
        result = execute(run, self._app, self)
        ended_ns = time.monotonic_ns()
        used = self._usage.end()
        result.cpu_us, result.max_rss_bytes = used.cpu_us, used.max_rss_bytes
        self._surroundings.restore()
        return result, used, ended_ns

    def _serve_job(self, run):
        self._usage.begin()
        self._send_result(self._run_job(run)[0])

    def _send_result(self, result):
        self._channel.send(frames.result(result, self._version))

    def _serve_set(self, runs):
        """Until a job is the last one, is not plain, or was singled out: it alone has a result."""
        if self._ledger is None:
            raise frames.ProtocolError("the sub-worker sent a set, but no ledger")
        self._usage.begin()
        started_ns = time.monotonic_ns()
        self._ledger.begins(started_ns)
        for index, run in enumerate(runs.runs):
            self._traces.begin()
            self._has_told = False
            result, used, ended_ns = self._run_job(run)
            is_last = index + 1 == len(runs.runs)
            if (
                is_last
                or not self._is_plain(result, used, runs.max_rss_bytes)
                or not self._ledger.passes(runs.set, index, started_ns, ended_ns, used)
            ):
                self._send_result(result)
                return
            started_ns = ended_ns

    def _is_plain(self, result, used, max_rss_bytes):
        """Is nothing to be said of the job but that it has succeeded, and is nothing else to be seen of it?"""
        return (
            result.status is frames.Status.SUCCEEDED
            and not result.defers
            and not self._has_told
            and not used.waited_for_children
            and (max_rss_bytes == 0 or used.max_rss_bytes <= max_rss_bytes)
            and termination.wish(AbortReason) is None
            and self._traces.are_none()
        )


def serve(app):
    try:
        its_ledger = ledger.open_ledger()
        version = frames.VERSION if its_ledger else frames.VERSION_WITHOUT_SETS
        # Taken away, as the ledger's is: a program that a handler starts is not served by this sub-worker.
        channel = Channel(os.environ.pop(VARIABLE), version)
        _read_stdin_from_nowhere()
        termination.catch_served()
        if not app.begin_process():
            return _FAILED_EXIT
        server = _Server(app, channel, its_ledger, version)
        if not server.greet():
            return _PROTOCOL_EXIT
        server.serve_until_closed()
        return 0 if app.end_process() else _FAILED_EXIT
    except (ChannelError, frames.ProtocolError) as error:
        _complain(error)
        return _PROTOCOL_EXIT
