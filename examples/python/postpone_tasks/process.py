"""The process between two jobs: what a job has used, what it has left, and what of the process is put back after it."""

import fcntl
import os
import resource
import signal
import struct
import termios
import time
from dataclasses import dataclass

from . import termination

_WALL = 0x40000000  # __WALL: whatever the child was started by


@dataclass(slots=True)
class Usage:
    cpu_us: int
    max_rss_bytes: int
    waited_for_children: bool


class UsageMeter:
    """CPU time of this process and of the children that it has waited for, and the peak of its memory.

    The kernel tells the peak in a text of /proc, which costs more than a short job. A process whose memory grows has page
    faults: while their number stays the same, what was read last is still the peak, for a while."""

    _GOOD_FOR_S = 0.1

    def __init__(self):
        self._resident = 0
        self._read_at = 0.0
        self._faults_read = -1
        self.begin()

    def begin(self):
        own, self._cpu_us, self._child_faults = self._used()
        if not self._holds(own):
            self._reset_peak()

    def end(self):
        """The job ends, and another one may begin at once, without begin()."""
        own, cpu_us, child_faults = self._used()
        usage = Usage(max(cpu_us - self._cpu_us, 0), self._peak(own), child_faults != self._child_faults)
        self._cpu_us, self._child_faults = cpu_us, child_faults
        return usage

    @staticmethod
    def _used():
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        return own.ru_minflt + own.ru_majflt, int(seconds * 1_000_000), children.ru_minflt + children.ru_majflt

    def _holds(self, own_faults):
        return own_faults == self._faults_read and time.monotonic() < self._read_at + self._GOOD_FOR_S

    def _peak(self, own_faults):
        if self._holds(own_faults):
            return self._resident
        peak, self._resident = self._read_memory()
        self._reset_peak()
        return peak

    @staticmethod
    def _read_memory():
        """Peak and present, in bytes; 0 where there is no /proc."""
        found = {b"VmHWM": 0, b"VmRSS": 0}
        try:
            fd = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0, 0
        for line in os.read(fd, 4096).splitlines():
            name, _, value = line.partition(b":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024
        os.close(fd)
        return found[b"VmHWM"], found[b"VmRSS"]

    def _reset_peak(self):
        """ru_maxrss would be the peak of all jobs so far; this sets VmHWM back to what is resident now."""
        try:
            fd = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"5")
            os.close(fd)
        except OSError:
            pass
        self._read_at = time.monotonic()
        self._faults_read = self._used()[0]


class Traces:
    """Has a job left what the sub-worker has to see before another one runs: output, changed standard descriptors,
    processes?"""

    def __init__(self):
        self._standard = [self._file_behind(fd) for fd in range(3)]
        self._forks = 0
        self._before = 0
        os.register_at_fork(after_in_parent=self._count_fork)  # subprocess forks in another way, and waits or leaves one

    def _count_fork(self):
        self._forks += 1

    def begin(self):
        self._before = self._forks

    def are_none(self):
        return (
            self._forks == self._before
            and all(self._file_behind(fd) == self._standard[fd] for fd in range(3))
            and not self._holds_output(1)
            and not self._holds_output(2)
            and not self._may_have_children()
        )

    @staticmethod
    def _file_behind(fd):
        try:
            status = os.fstat(fd)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @staticmethod
    def _holds_output(fd):
        try:
            return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0] > 0
        except OSError:
            return True

    @staticmethod
    def _may_have_children():
        """Not reaped: they are the program's. Those of a program that ignores SIGCHLD are gone by themselves."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | _WALL)
        except ChildProcessError:
            return signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
        return True


class Surroundings:
    """What is given to each job as it was at the start: the working directory, the mask for new files, the signals that
    are blocked, the alarm clock, and SIGTERM as a wish to stop."""

    def __init__(self):
        self._directory = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._has_alarm = signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0)  # the program's own, which is left alone

    def restore(self):
        """Alarm and signals first, which would else end the process in between."""
        if not self._has_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
        termination.catch_served()
        self._forget_deadly_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        os.umask(self._umask)
        try:
            os.fchdir(self._directory)
        except OSError:  # removed or forbidden meanwhile
            pass

    def _forget_deadly_signals(self):
        """One that the job has blocked and not taken would arrive when it is unblocked, and end the process before the
        result is sent."""
        pending = signal.sigpending()
        deadly = {each for each in pending - self._blocked if signal.getsignal(each) == signal.SIG_DFL}
        while deadly and signal.sigtimedwait(deadly, 0):
            pass
