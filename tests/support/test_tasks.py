#!/usr/bin/python3 -B
"""What test_tasks.cc does, in Python: what a task process sees of its surroundings, and every kind of retry.

Not here: what asks for stacks, or for handlers in another thread than the first (--thread, --no-stack), which the library
in Python does not offer, and tasks that the log's own tests need.
"""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/python"))

from postpone_tasks import App, Context, RetryOptions  # noqa: E402

app = App()
PR_SET_CHILD_SUBREAPER = 36


class Flaky(RuntimeError):
    pass


def append_to(file, text):
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, text.encode())
    os.close(fd)


def tell(job, file, what):
    """A line as misbehave.journal writes it: what, job, attempt, process, when."""
    append_to(file, f"{what} {job.id} {job.attempt} {os.getpid()} {time.monotonic_ns()}\n")


# --- what is left behind ---


def be_left(file):
    append_to(file, str(os.getpid()))
    while True:
        signal.pause()


def leave_by_fork(way, file):
    if os.fork() == 0:
        if way == "session":
            os.setsid()
        be_left(file)


def leave_by_double_fork(way, file):
    if way == "subreaper":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            be_left(file)
        os._exit(0)
    os.waitpid(child, 0)


def leave_a_chatterer(_way, file):
    if os.fork() > 0:
        return
    os.write(1, b"chatter\n")
    append_to(file, str(os.getpid()))
    while True:
        os.write(1, b"chatter\n")
        time.sleep(0.0002)


def leave_a_program(way, file):
    script = f"echo $$ > {file}; exec sleep 1000"
    if way == "popen":
        subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    elif way == "shell":
        os.system(f"({script}) &")
    else:
        os.posix_spawn("/bin/sh", ["sh", "-c", script], os.environ)


WAYS = {
    "fork": leave_by_fork,
    "session": leave_by_fork,
    "double fork": leave_by_double_fork,
    "subreaper": leave_by_double_fork,
    "chatter": leave_a_chatterer,
    "popen": leave_a_program,
    "shell": leave_a_program,
    "posix_spawn": leave_a_program,
}


@app.task("test.leave")
def leave(way: str, file: str):
    """Leaves a process behind in one of the ways that there are, and its number in the file."""
    WAYS[way](way, file)
    while not os.path.exists(file) or os.path.getsize(file) == 0:
        time.sleep(0.001)


@app.task("test.leave_and_stay")
def leave_and_stay(way: str, file: str):
    leave(way, file)
    while True:
        signal.pause()


@app.task("test.gone")
def gone(file: str):
    """Fails if the process whose number stands in the file lives."""
    try:
        stat = pathlib.Path(f"/proc/{pathlib.Path(file).read_text().strip()}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return
    if ") Z " not in stat:
        raise RuntimeError("lives: " + stat)


@app.task("test.beat")
def beat(job: Context, file: str, ms: int = 3_600_000):
    """Such a line every 2 ms, for `ms` or until FILE.stop is there: when it ran, and when it did not."""
    end = time.monotonic() + ms / 1000
    tell(job, file, "start")
    while time.monotonic() < end and not os.path.exists(file + ".stop"):
        time.sleep(0.002)
        tell(job, file, "beat")
    tell(job, file, "end")


@app.task("test.daemon")
def beat_and_leave_a_daemon(job: Context, file: str, ms: int = 3_600_000):
    """Leaves behind a process of another session that goes on beating in the name of the job."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        while True:
            tell(job, file, "beat")
            time.sleep(0.001)
    os.waitpid(child, 0)
    beat(job, file, ms)


# --- standard descriptors, and the channel ---


@app.task("test.close_output")
def close_output():
    os.close(1)
    os.close(2)


@app.task("test.redirect")
def redirect(file: str):
    fd = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
    os.dup2(fd, 1)


@app.task("test.write_both")
def write_both(file: str):
    """Writes data of its own into a file, and something for the log, each where it belongs."""
    with open(file, "w") as out:
        out.write("my data\n")
    with open(file, "a") as out:
        print("hello", flush=True)
        out.write("more\n")


@app.task("test.exhaust_descriptors")
def exhaust_descriptors():
    while True:
        os.open("/dev/null", os.O_RDONLY)


@app.task("test.begin_a_frame")
def begin_a_frame():
    os.write(3, b"\x40\0\0\0\x06")


@app.task("test.begin_a_frame_later")
def begin_a_frame_later(file: str):
    """The same, but when FILE is there, in a thread that outlives the job; FILE.done is there then."""

    def begin_it():
        while not os.path.exists(file):
            time.sleep(0.002)
        begin_a_frame()
        pathlib.Path(file + ".done").touch()

    threading.Thread(target=begin_it, daemon=True).start()


@app.task("test.write_newlines")
def write_newlines(job: Context, kib: int):
    for _ in range(kib):
        if job.should_abort():
            return
        sys.stdout.write("\n" * 1024)


@app.task("test.surroundings")
def surroundings(file: str):
    with open(file, "w") as out:
        for name, value in os.environ.items():
            print(f"{name}={value}", file=out)
        for fd in os.listdir("/proc/self/fd"):
            try:
                print("fd", fd, os.readlink(f"/proc/self/fd/{fd}"), file=out)
            except FileNotFoundError:  # that of the list itself
                pass


# --- what a job is told beside its arguments, and what it tells ---


@app.task("test.give")
def give(job: Context, file: str):
    """Half way it waits for the file, then gives back which attempt it was and with which meta, and defers two jobs."""
    job.progress(1, 2, "half way")
    until(file)
    job.progress(2, 2, "done")
    job.result({"attempt": job.attempt, "meta": job.meta})
    job.defer("test.hopeless", queue="followers")
    job.defer("test.hopeless", queue="followers", meta={"tenant": "bob"})


life = {"is_set_up": False, "is_asked_after": False}


@app.set_up
def set_up():
    life["is_set_up"] = True


@app.tear_down
def tear_down():
    if life["is_asked_after"]:
        print("torn down", flush=True)


@app.around
def forgive(job, call_next):
    try:
        call_next()
    except ValueError as error:
        if job.task != "test.forgiving.throws":
            raise
        print("forgiven:", error)


@app.task("test.forgiving.throws")
def throw_of_no_account():
    raise ValueError("of no account")


@app.task("test.was_set_up")
def fail_unless_set_up():
    if not life["is_set_up"]:
        raise RuntimeError("set_up() did not run")
    life["is_asked_after"] = True


@app.task("test.chain")
def chain(job: Context, links: int):
    """So many jobs in a row, each deferred by the one before it, and run again once."""
    if job.attempt == 1:
        job.retry_in(0, "once more")
    if job.deferred_by is not None:
        job.result({"deferred_by": job.deferred_by})
    if links > 1:
        job.defer("test.chain", {"links": links - 1}, queue=job.queue)


@app.task("test.show")
def show(job: Context):
    print(
        f"job {job.id}, attempt {job.attempt}, queue {job.queue}, priority {job.priority}, lock {job.lock}, "
        f"meta {json.dumps(job.meta)}, deferred by {job.deferred_by or 0}"
    )


@app.task("test.log")
def say_in_the_log(job: Context):
    job.log("warning", "half way", done=5, of={"plates": 10})
    job.log("debug", "not worth a line")


@app.task("test.new_name", aliases=["test.old_name"])
def new_name(job: Context):
    print("as", job.task)


@app.task("test.alone", fresh_process=True)
def alone(file: str):
    append_to(file, f"{os.getpid()}\n")


@app.task("test.busy", retry=RetryOptions(max_attempts=2))
def busy(job: Context, counts: bool):
    if job.attempt < 5:
        job.retry_in(0, "busy", priority=3, counts=counts)


# --- how jobs end ---


@app.task("test.append")
def append(file: str, text: str):
    append_to(file, text)


@app.task("test.until")
def until(file: str):
    while not os.path.exists(file):
        time.sleep(0.002)


@app.task("test.flaky", retry=RetryOptions(max_attempts=5, on=(Flaky,)))
def flaky(job: Context):
    if job.attempt < 3:
        raise Flaky("not yet")


@app.task("test.other_error", retry=RetryOptions(max_attempts=5, on=(Flaky,)))
def other_error():
    raise LookupError("not of the kind")


@app.task("test.demoted", retry=RetryOptions(max_attempts=1, priority=-7, queue="elsewhere", lock="narrow"))
def demoted(job: Context):
    if job.attempt == 1:
        raise Flaky("elsewhere, please")


@app.task("test.hopeless", retry=RetryOptions(max_attempts=2))
def hopeless():
    raise Flaky("never")


@app.task("test.later", retry=RetryOptions(max_attempts=1, wait=1))
def later(job: Context):
    if job.attempt == 1:
        raise Flaky("in a second")


@app.task("test.defers")
def defers(job: Context, file: str, fails: bool):
    job.defer("test.append", {"file": file, "text": "deferred"}, queue=job.queue)
    if fails:
        raise Flaky("so nothing is deferred")


@app.task("test.impossible_defer")
def impossible_defer(job: Context):
    job.defer("test.append", queue="q" * 200)


@app.task("test.tick")
def tick():
    pass


app.periodic("* * * * * *", "test.tick")


def start_helper(file):
    """A helper that is there before the first job."""
    if os.fork() == 0:
        be_left(file)


if __name__ == "__main__":
    for word in sys.argv[1:2]:
        if word.startswith("--helper="):
            start_helper(word.removeprefix("--helper="))
    sys.exit(app.run())
