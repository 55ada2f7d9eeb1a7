"""The tasks of a program, and its main()."""

import io
import json
import os
import pathlib
import sys
from dataclasses import dataclass

from . import by_hand, channel, frames, ledger, serve
from .arguments import Parameters
from .around import Around

VERSION = "postpone_tasks.py 0.1.0"


@dataclass(frozen=True)
class RetryOptions:
    """When and how a failed job runs again. The wait before the next attempt, with n attempts made before the one that
    failed, is  wait + linear_wait * n + exponential_wait ** (n + 1)  seconds, then at most max_wait, and then up to `jitter`
    of that shorter or longer by chance."""

    max_attempts: int | None = None  # so many retries, then the failure is final; None = no limit
    wait: float = 0.0
    linear_wait: float = 0.0
    exponential_wait: float = 0.0  # 0 = none
    max_wait: float | None = None  # None = a year
    jitter: float = 0.0  # from 0 to 1; 0.25: the wait is a quarter shorter or longer at most
    on: tuple = ()  # only for these exceptions, and what derives from them; empty = for all
    on_crash: bool = True  # after a crash and after a passed time limit, too
    # What a retry changes:
    priority: int | None = None
    queue: str | None = None
    lock: str | None = None

    def describe(self):
        return {
            "max_attempts": self.max_attempts,
            "wait_s": self.wait,
            "linear_wait_s": self.linear_wait,
            "exponential_wait_s": self.exponential_wait,
            "max_wait_s": self.max_wait,
            "jitter": self.jitter,
            "on_crash": self.on_crash,
            "priority": self.priority,
            "queue": self.queue,
            "lock": self.lock,
        }


@dataclass
class Task:
    name: str = ""
    handler: object = None
    parameters: object = None
    queue: str = "default"
    priority: int = 0
    lock: str | None = None
    queueing_lock: str | None = None
    time_limit: float = 0.0  # seconds; 0 = the group's
    retry: RetryOptions | None = None  # None = a failure is final
    aliases: tuple = ()  # other names that jobs of this task may have
    memory_limit: int = 0  # bytes; 0 = the group's
    concurrency_limit: int = 0  # so many of its jobs run at a time under one supervisor; 0 = any number
    fresh_process: bool = False  # each job has a process of its own, replaced after it

    def describe(self):
        return {
            "name": self.name,
            "queue": self.queue,
            "priority": self.priority,
            "lock": self.lock,
            "queueing_lock": self.queueing_lock,
            "time_limit_ms": int(self.time_limit * 1000),
            "retry": self.retry and self.retry.describe(),
            "aliases": list(self.aliases),
            "memory_limit_bytes": self.memory_limit,
            "concurrency_limit": self.concurrency_limit,
            "fresh_process": self.fresh_process,
        }


_UNKNOWN = Task()


def _print_whole_lines():
    """A line is in the log when it is printed, and not at the end of the job."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


class App(Around):
    """No registration raises for a mistake in it: run() reports all mistakes, one line each, and returns 2."""

    def __init__(self):
        super().__init__()
        self.tasks = {}
        self._called = {}  # the tasks by their names and aliases
        self._schedules = []
        self._mistakes = []

    def task(self, name, **options):
        """Registers the function below it as the handler of this task. Options: queue, priority, lock, queueing_lock,
        time_limit (seconds), retry (RetryOptions), aliases (a list of names), memory_limit (bytes), concurrency_limit,
        fresh_process."""

        def register(handler):
            try:
                self._add(Task(name, handler, Parameters(handler), **options))
            except (TypeError, NameError) as error:  # an option, or a type hint, that is none
                self._mistakes.append(f'task "{name}": {error}')
            return handler

        return register

    def _add(self, task):
        if not task.name:
            raise TypeError("it has no name")
        if task.name in self.tasks:
            raise TypeError("it is registered twice")
        if isinstance(task.aliases, str):
            raise TypeError("its aliases are no list of names, but one text")
        for each in (task.name, *task.aliases):
            if each in self._called:
                raise TypeError(f'"{each}" is the name of a task, or an alias, already')
            self._called[each] = task
        self.tasks[task.name] = task

    def periodic(self, cron, task, *, id="", args=None, zone="UTC", missed="last", missed_within=86400):
        """The supervisor defers a job of this task at each tick of `cron`, by the clocks of this time zone, once among all
        supervisors. Of ticks that passed while no supervisor kept time, in the last `missed_within` seconds, it makes up for
        none ("skip"), the "last" or "all"."""
        more = {"zone": zone, "missed": missed, "missed_within_s": missed_within}
        self._schedules.append({"cron": cron, "task": task, "id": id, "args": args or {}} | more)

    def find(self, task):
        """By its name or an alias. None where there is none."""
        return self._called.get(task)

    def options_of(self, task):
        return self.find(task) or _UNKNOWN

    def describe(self, version):
        """The JSON text of --describe, and of a hello in this version of the protocol."""
        return json.dumps(
            {
                "libtask_version": VERSION,
                "protocol_version": version,
                "stack_signal": None,  # addresses in the interpreter would tell nobody where the handler is
                "tasks": [task.describe() for task in self.tasks.values()],
                "periodic": self._schedules,
            },
            allow_nan=False,
        )

    def run(self, arguments=None):
        """Does what the environment and the arguments ask for, and returns the exit status of the program: served by a
        sub-worker, 0 when that closes the channel and 70 when it does not speak the protocol; by hand, 0 for a success,
        1 for a failure and 2 for a mistake. REQUIRES: the main thread, which alone gets Python's signals."""
        program = pathlib.Path(sys.argv[0]).name
        _print_whole_lines()
        for schedule in self._schedules:
            if schedule["task"] not in self.tasks:
                self._mistakes.append(f'schedule "{schedule["cron"]}": there is no task "{schedule["task"]}"')
        if self._mistakes:
            print(*(f"{program}: {mistake}" for mistake in self._mistakes), sep="\n", file=sys.stderr)
            return 2
        if channel.VARIABLE in os.environ:
            return serve.serve(self)
        version = frames.VERSION if ledger.compare_exchange() else frames.VERSION_WITHOUT_SETS
        return by_hand.serve(self, program, sys.argv[1:] if arguments is None else arguments, version)
