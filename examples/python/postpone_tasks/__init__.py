"""A task library for Postpone in Python, standard library only: what docs/protocol.md describes, from its other side.

    from postpone_tasks import App, Context, RetryOptions

    app = App()

    @app.task("dishes.wash", queue="kitchen", time_limit=30, retry=RetryOptions(max_attempts=5, exponential_wait=2))
    def wash(job: Context, dish: str, times: int = 1):
        for n in range(times):
            if job.should_abort():
                return
            print("washing the", dish)
            job.progress(n + 1, times)
        job.result({"washed": times})
        job.defer("dishes.dry", {"dish": dish})

    if __name__ == "__main__":
        sys.exit(app.run())

The program is a task executable: a [[group]] of the supervisor's configuration names it. By hand,
`./dishes.py run dishes.wash '{"dish": "plate"}'` runs one job without a database.

A handler may do what a program may do: raise, take long, print, start children, crash. Delivery is at least once:
when a process or a host dies in the middle of a job, the handler may be run again for the same job.
"""

from .app import App, RetryOptions
from .context import Aborted, AbortReason, BadArguments, Context, Retry

__all__ = ["Aborted", "AbortReason", "App", "BadArguments", "Context", "Retry", "RetryOptions"]
