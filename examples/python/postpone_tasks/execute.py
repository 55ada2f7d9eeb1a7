"""One job from start to end."""

import ctypes
import difflib
import os
import sys
import traceback

from . import arguments, frames
from .context import Aborted, AbortReason, BadArguments, Context, Retry
from .texts import shortened, type_of

_LONGEST_WAIT_S = 100 * 365.25 * 86400  # any clock on the way can hold it
_libc = ctypes.CDLL(None)

_WORDS = {
    None: "the handler gave up although nobody had asked it to",
    AbortReason.REQUESTED: "aborted on request",
    AbortReason.TIME_LIMIT: "stopped at its time limit",
    AbortReason.SHUTDOWN: "stopped because its process had to end",
}


def nearest(task, names):
    """Of the names, those that may have been meant."""
    if not names:
        return "it has none"
    near = difflib.get_close_matches(task, names, 3, 0.4) or sorted(names)[:3]
    return ("it has: " if len(near) == len(names) else f"of its {len(names)} tasks these are the nearest: ") + ", ".join(near)


def _text_of(error):
    try:
        return str(error)
    except Exception:  # of the author's __str__
        return ""


def _cause_of(error):
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _message_of(error):
    """With its causes, as they are nested."""
    text = _text_of(error)
    while (error := _cause_of(error)) is not None:
        text += f"; caused by: {type_of(error)}" + (f": {_text_of(error)}" if _text_of(error) else "")
    return shortened(text)


def _tell_exception(result, error, task, job):
    if isinstance(error, Aborted):
        result.status = frames.Status.ABORTED
        result.message = _WORDS[job.abort_reason]
        result.abort_reason = job.abort_reason
    elif isinstance(error, Retry):
        result.status = frames.Status.EXCEPTION
        result.exception_type = "postpone_tasks.Retry"
        result.message = _message_of(error)
        result.retry_in_us = int(min(max(error.seconds, 0.0), _LONGEST_WAIT_S) * 1_000_000)
        result.retry_priority, result.retry_queue, result.retry_lock = error.priority, error.queue, error.lock
        result.retry_counts = error.counts
    elif isinstance(error, BadArguments):
        result.status = frames.Status.BAD_ARGUMENTS
        result.message = _message_of(error)
    else:
        result.status = frames.Status.EXCEPTION
        result.exception_type = type_of(error)
        result.message = _message_of(error)
        result.retryable = not (task.retry and task.retry.on) or isinstance(error, tuple(task.retry.on))
        # Where it was raised is in the log, with the job's id. The first lines of the traceback are ours.
        trace = error.__traceback__
        while trace.tb_next and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)


def _end_if_forked(task, owner):
    if os.getpid() == owner:
        return
    os.write(2, f"postpone_tasks: a process that the handler of {task} forked came back from it; it must end with "
                "os._exit()\n".encode())
    os._exit(70)


def flush_output():
    """Also what libraries in C have written. A stream that a handler has closed is the handler's loss."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    _libc.fflush(None)


def _read_args(job, run):
    """None, or what is wrong with them: for the innermost to raise, so that middlewares see it."""
    try:
        job.args = arguments.parse(run.args, run.task)
    except BadArguments as error:
        return error


def _call(task, job, unfit):
    """The handler, with its arguments."""
    if unfit:
        raise unfit
    read = task.parameters.read(job.args, job.task)
    if task.parameters.takes_context:
        task.handler(job, **read)
    else:
        task.handler(**read)


def execute(run, app, giver):
    """Runs the handler of run.task. The result says how that ended, and not what it used. Its output is flushed.
    sys.exit() ends the process, and so its job."""
    result = frames.Result(run.job_id)
    task = app.find(run.task)
    if task is None:
        result.status = frames.Status.UNKNOWN_TASK
        result.message = f'this task executable has no task "{run.task}"; {nearest(run.task, list(app.tasks))}'
        return result
    job = Context(run, app, giver)
    owner = os.getpid()
    try:
        unfit = _read_args(job, run)
        app.wrap(job, lambda: _call(task, job, unfit))()
        # A handler that saw that it should stop, and returned, has stopped before its work was done: no success.
        if job.abort_reason is not None:
            raise Aborted
        result.defers = job.deferred
    except SystemExit:
        raise
    except BaseException as error:
        _end_if_forked(run.task, owner)
        _tell_exception(result, error, task, job)
    _end_if_forked(run.task, owner)
    flush_output()
    job.tell_untold_progress()
    if result.status is frames.Status.SUCCEEDED:
        job.tell_result()
    return result
