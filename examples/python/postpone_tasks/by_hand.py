"""A task executable on the command line, without a database."""

import json
import sys
import time

from . import frames, termination
from .execute import execute, nearest
from .texts import log_line

_DONE, _FAILED, _USAGE = 0, 1, 2

_HELP = """A task executable of Postpone. A supervisor starts it; by hand:
  {0} run TASK [JSON]   run one job now, without a database; JSON holds its arguments
  {0} --list            the tasks, each with the names of its arguments
  {0} --describe        the tasks with all their options, and the schedules, as JSON
  {0} --help            this text"""


def _say(text):
    """To stderr: stdout is the handler's."""
    print(text, file=sys.stderr)


class _Terminal:
    """Where the job came from, and what it tells goes."""

    def stop_wish(self, _job_id):
        return None

    def tell_progress(self, _job_id, done, total, note):
        _say(f"progress: {done}" + (f" of {total}" if total else "") + (f": {note}" if note else ""))

    def tell_value(self, _job_id, value):
        _say(f"result: {value}")

    def log(self, _job_id, level, text, fields):
        _say(log_line(level, text, fields))


def _show_deferred(job):
    more = [f"queue {job.queue}"]
    if job.priority:
        more.append(f"priority {job.priority}")
    if job.lock:
        more.append(f"lock {job.lock}")
    if job.queueing_lock:
        more.append(f"queueing lock {job.queueing_lock}")
    if job.delay_us:
        more.append(f"in {job.delay_us / 1e6:g} s")
    _say(f"would defer {job.task} {job.args} ({', '.join(more)})")


def _show_retry(result):
    more = ""
    if result.retry_queue:
        more += f", in queue {result.retry_queue}"
    if result.retry_priority is not None:
        more += f", with priority {result.retry_priority}"
    if result.retry_lock:
        more += f", with lock {result.retry_lock}"
    if not result.retry_counts:
        more += ", whatever its max_attempts"
    _say(f"would be retried in {result.retry_in_us / 1e6:g} s{more}")


def _report(task, result, run_time):
    if result.status is frames.Status.SUCCEEDED:
        for job in result.defers:
            _show_deferred(job)
        _say(f"succeeded in {run_time:.3g} s")
        return _DONE
    if result.status is frames.Status.BAD_ARGUMENTS:
        _say(f"bad arguments: {result.message}")
        return _USAGE
    if result.status is frames.Status.ABORTED:
        _say(f"aborted: {result.message}")
        return _FAILED
    _say(f"failed: {result.exception_type}" + (f": {result.message}" if result.message else ""))
    if result.retry_in_us is not None:
        _show_retry(result)
    elif task.retry:
        _say("would be retried" if result.retryable else "would not be retried: not one of the exceptions to retry on")
    return _FAILED


def _run(app, program, name, args):
    task = app.find(name)
    if task is None:
        _say(f'{program}: no task is called "{name}"; {nearest(name, list(app.tasks))}')
        return _USAGE
    try:
        json.loads(args)
    except ValueError as error:
        _say(f"{program}: the arguments are not JSON: {error}")
        return _USAGE
    run = frames.Run(
        task=name,
        queue=task.queue,
        priority=task.priority,
        lock=task.lock or "",
        args=args,
        time_limit_ms=int(task.time_limit * 1000),
    )
    termination.catch_by_hand()
    begin = time.monotonic()
    result = execute(run, app, _Terminal())
    return _report(task, result, time.monotonic() - begin)


def serve(app, program, words, version):
    """`version` of the protocol, for --describe."""
    if words[:1] == ["run"] and len(words) in (2, 3):
        return _run(app, program, words[1], words[2] if len(words) == 3 else "{}")
    # Whatever follows: a group of sub-workers may give its program arguments of its own, which are not ours to read.
    if words[:1] == ["--describe"]:
        print(app.describe(version))
    elif words == ["--list"]:
        for task in app.tasks.values():
            print(" ".join([task.name] + task.parameters.names))
    elif words in (["--help"], ["-h"]):
        print(_HELP.format(program))
    else:
        _say(_HELP.format(program))
        return _USAGE
    return _DONE
