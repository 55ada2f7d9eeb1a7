"""A task executable on the command line, without a database."""

import argparse
import json
import pathlib
import sys
import time

from . import frames, termination
from .execute import execute, nearest
from .texts import log_line

_DONE, _FAILED, _USAGE = 0, 1, 2

_HELP = """A task executable of Postpone. A supervisor starts it; by hand:
  {0} run TASK [JSON]   run one job now, without a database; JSON holds its arguments, - reads them from standard input,
                        @FILE from a file. Options: --attempt N, --id N, --queue NAME, --priority N, --lock NAME, --meta JSON,
                        --deferred-by N
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


def _read(text, what):
    """A JSON text of its own, of standard input ("-"), of a file ("@FILE"). Raises ValueError, and OSError."""
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        text = pathlib.Path(text[1:]).read_text(encoding="utf-8")
    try:
        json.loads(text)
    except ValueError as error:
        raise ValueError(f"{what} not JSON: {error}") from None
    return text


def _parser(program):
    parser = argparse.ArgumentParser(prog=f"{program} run", allow_abbrev=False)
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("args", metavar="JSON", nargs="?", default="{}")
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--id", type=int, default=0)
    parser.add_argument("--queue")
    parser.add_argument("--priority", type=int)
    parser.add_argument("--lock")
    parser.add_argument("--meta", default="{}")
    parser.add_argument("--deferred-by", type=int)
    return parser


def _run(app, program, words):
    said = _parser(program).parse_args(words)  # exits with _USAGE
    task = app.find(said.task)
    if task is None:
        _say(f'{program}: no task is called "{said.task}"; {nearest(said.task, list(app.tasks))}')
        return _USAGE
    try:
        args, meta = _read(said.args, "the arguments are"), _read(said.meta, "the meta is")
    except (OSError, ValueError) as error:
        _say(f"{program}: {error}")
        return _USAGE
    run = frames.Run(
        job_id=said.id,
        attempt=said.attempt,
        task=said.task,
        queue=task.queue if said.queue is None else said.queue,
        priority=task.priority if said.priority is None else said.priority,
        lock=(task.lock or "") if said.lock is None else said.lock,
        args=args,
        meta=meta,
        deferred_by=said.deferred_by,
        time_limit_ms=int(task.time_limit * 1000),
    )
    termination.catch_by_hand()
    if not app.begin_process():
        return _FAILED
    begin = time.monotonic()
    result = execute(run, app, _Terminal())
    run_time = time.monotonic() - begin
    is_torn_down = app.end_process()
    return _report(task, result, run_time) or (_DONE if is_torn_down else _FAILED)


def serve(app, program, words, version):
    """`version` of the protocol, for --describe."""
    if words[:1] == ["run"]:
        return _run(app, program, words[1:])
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
