#!/usr/bin/python3 -B
"""What channel_tasks.cc does, in Python: handlers that look at the channel from the inside."""

import ctypes
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/python"))

from postpone_tasks import App, Context  # noqa: E402

app = App()


@app.task("channel.shell")
def run_in_a_shell(command: str):
    if os.system(command) != 0:
        raise RuntimeError("the command failed")


@app.task("channel.write")
def write_without_flushing():
    """In the buffers of both Python and C, with no end of line that would flush it."""
    sys.stdout.write("from a stream ")
    ctypes.CDLL(None).printf(b"and from C")


@app.task("channel.fork")
def let_a_child_return():
    child = os.fork()
    if child > 0:
        os.waitpid(child, 0)


@app.task("channel.disturb")
def disturb_the_process():
    os.umask(0o777)
    os.chdir("/proc")
    signal.alarm(100)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())


@app.task("channel.pending")
def leave_pending(number: int, by_alarm: bool):
    """Leaves a signal behind that arrives as soon as it is unblocked."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    if by_alarm:
        signal.alarm(1)
    else:
        os.kill(os.getpid(), number)
    while number not in signal.sigpending():
        time.sleep(0.001)


@app.task("channel.show")
def show_the_process():
    mask = os.umask(0o22)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    term = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    print(os.getcwd(), f"{mask:o}", signal.alarm(0), int(signal.SIGUSR1 in blocked), int(term))


@app.task("channel.count")
def count_to(job: Context, last: int):
    for i in range(1, last + 1):
        job.progress(i, last)


@app.task("channel.give")
def give(job: Context):
    job.progress(1, 2, "half")
    job.result({"meta": job.meta})


@app.task("channel.give_alone")
def give_alone(job: Context):
    job.result(3)


@app.task("channel.inherit")
def inherit(job: Context):
    job.defer("channel.nothing")
    job.defer("channel.nothing", meta={"tenant": "bob"})
    job.defer("channel.nothing", meta={})


@app.task("channel.when")
def when(job: Context):
    job.result(job.scheduled_at.timestamp() if job.scheduled_at else None)


@app.task("channel.again")
def again(job: Context):
    job.retry_in(2, "busy", priority=-7, queue="later", lock="narrow", counts=False)


@app.task("channel.log")
def log(job: Context):
    for i in range(3):
        job.log("error", "line", number=i)


@app.task("channel.nothing")
def nothing():
    pass


@app.task("channel.say")
def say_on_stderr(text: str):
    sys.stderr.write(text)


@app.task("channel.scribble")
def scribble(word: int, value: int):
    """Writes into the ledger, which is mapped somewhere: a word, of which there are four for each entry."""
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        if "postpone-ledger" in line:
            ctypes.c_uint64.from_address(int(line.split("-")[0], 16) + 8 * word).value = value
            return
    raise RuntimeError("there is no ledger")


@app.task("channel.sleep")
def sleep(ms: int):
    time.sleep(ms / 1000)


@app.task("channel.throw")
def throw():
    raise RuntimeError("no towel")


@app.task("channel.crash")
def crash():
    os.abort()


@app.task("channel.pause")
def pause():
    signal.pause()


@app.task("channel.hang")
def hang():
    while True:
        signal.pause()


@app.task("channel.terminate")
def terminate():
    signal.raise_signal(signal.SIGTERM)


@app.task("channel.daemonize")
def daemonize():
    """Its parent goes at once: it is no child of this process."""
    if os.fork() == 0:
        if os.fork() == 0:
            signal.pause()
        os._exit(0)


@app.task("channel.child")
def leave_a_child():
    if os.fork() == 0:
        signal.pause()


@app.task("channel.unseen")
def fork_behind_a_handler():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork() == 0:
        os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@app.task("channel.stdout")
def replace_stdout(file: str):
    fd = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(fd, 1)
    os.close(fd)


@app.task("channel.defer")
def defer_one(job: Context):
    job.defer("channel.nothing")


@app.task("channel.grow")
def grow(mib: int):
    much = bytearray(b"x") * (mib << 20)
    if much[-1] != ord("x"):
        raise RuntimeError("memory forgets")


@app.task("channel.close")
def close():
    os.close(0)


if __name__ == "__main__":
    sys.exit(app.run())
