"""What lies around the handlers: middlewares around each of them, and what is set up and torn down once in each process."""

import functools
import sys

from .texts import type_of


class Around:
    """Registers functions, as a decorator each:

        @app.set_up
        def connect(): …                # before the first job

        @app.around
        def timed(job, call_next): …    # around the handler of every job
    """

    def __init__(self):
        self._middlewares = []
        self._set_up = []
        self._tear_down = []

    def around(self, middleware):
        """middleware(job, call_next) runs around the handler of every task. call_next(), to be called once at most, runs the
        next middleware or the handler, and raises what that raises: BadArguments, too. What the middleware does decides what
        becomes of the job, as if it were the handler. The first that is registered is the outermost."""
        self._middlewares.append(middleware)
        return middleware

    def set_up(self, action):
        """action() runs before the process takes a job, and in `run`. When it raises, the process takes none."""
        self._set_up.append(action)
        return action

    def tear_down(self, action):
        """action() runs when the sub-worker lets the process go: the last one that is registered first. Not after a crash."""
        self._tear_down.append(action)
        return action

    def wrap(self, job, handle):
        """handle(), with all middlewares around it."""
        for middleware in reversed(self._middlewares):
            handle = functools.partial(middleware, job, handle)
        return handle

    def begin_process(self):
        """False, and a line on stderr says why, when a set-up has failed."""
        return all(_has_done("set-up", action) for action in self._set_up)

    def end_process(self):
        """False, and a line for each, when some have failed."""
        return all([_has_done("tear-down", action) for action in reversed(self._tear_down)])


def _has_done(what, action):
    try:
        action()
        return True
    except Exception as error:
        text = f": {error}" if str(error) else ""
        print(f"postpone_tasks: the {what} of the task process has failed: {type_of(error)}{text}", file=sys.stderr, flush=True)
        return False
