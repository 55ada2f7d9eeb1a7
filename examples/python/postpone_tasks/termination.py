"""SIGTERM and SIGINT as a wish that the running job may look at, instead of as an end."""

import signal

_caught = None


def _remember(number, _frame):
    global _caught
    _caught = number


def _remember_once(number, frame):
    _remember(number, frame)
    signal.signal(number, signal.SIG_DFL)


def catch_served():
    """SIGTERM asks the running job to stop. SIGINT is ignored: Ctrl-C at a terminal reaches the supervisor, which decides."""
    signal.signal(signal.SIGTERM, _remember)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python has it: an error of the write


def catch_by_hand():
    """SIGINT and SIGTERM ask the job to stop; the second one of a kind ends the process."""
    signal.signal(signal.SIGTERM, _remember_once)
    signal.signal(signal.SIGINT, _remember_once)


def wish(reasons):
    """What the signals since the last forget() ask for, one of `reasons`; None when none came."""
    if _caught is None:
        return None
    return reasons.REQUESTED if _caught == signal.SIGINT else reasons.SHUTDOWN


def forget():
    global _caught
    _caught = None
