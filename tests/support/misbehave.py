#!/usr/bin/python3 -B
"""What libtask/examples/misbehave.cc does, in Python: the tests run against both."""

import ctypes
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/python"))

from postpone_tasks import Aborted, App, Context, RetryOptions  # noqa: E402

app = App()
CHANNEL = 3  # docs/protocol.md


def task(name, **options):
    return app.task(f"misbehave.{name}", queue="misbehave", **options)


@task("throw")
def throw_exception(message: str | None = None):
    raise RuntimeError(message or "thrown on demand")


@task("segfault")
def segfault():
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    ctypes.string_at(0)


@task("abort")
def abort():
    os.abort()


@task("exit")
def exit_from_handler(status: int = 3):
    sys.exit(status)


@task("once", retry=RetryOptions(max_attempts=1))
def crash_on_the_first_attempt(job: Context):
    if job.attempt == 1:
        segfault()
    print("attempt", job.attempt, "went well")


@task("hang")
def hang():
    while True:
        signal.pause()


@task("spin")
def spin():
    while True:
        pass


@task("wait")
def wait_for_abort(job: Context, ms: int | None = None):
    end = time.monotonic() + (ms or 0) / 1000
    while ms is None or time.monotonic() < end:
        if job.should_abort():
            raise Aborted
        time.sleep(0.002)


@task("flood")
def flood():
    while True:
        print("There is always one more line to write, and nobody who reads all of them.")


def be_a_daemon(pid_file):
    """It leaves the session and the process group, and keeps stdout and stderr open."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    if pid_file:
        pathlib.Path(pid_file).write_text(str(os.getpid()))
    time.sleep(600)
    os._exit(0)


@task("forkaway")
def fork_away(pid_file: str | None = None):
    child = os.fork()
    if child == 0:
        be_a_daemon(pid_file)
    os.waitpid(child, 0)


@task("runaway")
def fork_a_runaway():
    if os.fork() > 0:
        return
    os.setsid()
    while True:
        if os.fork() > 0:
            os._exit(0)


@task("garble")
def garble_channel():
    os.write(CHANNEL, b"this is no frame of any protocol")


@task("close_channel")
def close_channel():
    os.close(CHANNEL)


@task("memory")
def grow(job: Context, mib: int):
    held = []
    while len(held) < mib and not job.should_abort():
        held.append(b"x" * (1024 * 1024 + len(held)))
        job.progress(len(held), mib)


@task("noop")
def noop():
    pass


def write_journal_line(path, what, job):
    """start 17 1 4242 123456789: what, job, attempt, process, monotonic nanoseconds."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{what} {job.id} {job.attempt} {os.getpid()} {time.monotonic_ns()}\n".encode())
    os.close(file)


@task("journal", retry=RetryOptions(max_attempts=3))
def journal(job: Context, file: str, ms: int = 0):
    write_journal_line(file, "start", job)
    time.sleep(ms / 1000)
    write_journal_line(file, "end", job)


@task("obey")
def obey(job: Context, file: str):
    write_journal_line(file, "start", job)
    while not job.should_abort():
        time.sleep(0.0001)
    write_journal_line(file, "asked", job)


if __name__ == "__main__":
    sys.exit(app.run())
