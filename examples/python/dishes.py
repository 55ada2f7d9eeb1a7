#!/usr/bin/env python3
"""A task executable in Python. ./dishes.py run dishes.wash '{"dish": "plate", "times": 2}'"""

import sys
import time

from postpone_tasks import Aborted, App, Context, Retry, RetryOptions

app = App()


@app.task("dishes.wash", queue="kitchen", priority=5, time_limit=30, retry=RetryOptions(max_attempts=5, exponential_wait=2))
def wash(job: Context, dish: str, times: int = 1):
    if dish == "pan" and job.attempt == 1:
        raise Retry(10, "it has to soak")
    for n in range(times):
        if job.should_abort():
            raise Aborted
        print("washing the", dish)
        job.progress(n + 1, times)
    job.result({"washed": times})
    job.defer("dishes.dry", {"dish": dish, "seconds": 0.1})


@app.task("dishes.dry", queue="kitchen", lock="towel")
def dry(dish: str, seconds: float | None = None):
    time.sleep(seconds or 0)
    print("the", dish, "is dry")


@app.task("kitchen.sweep", queue="kitchen", queueing_lock="sweep")
def sweep():
    print("swept")


app.periodic("0 22 * * *", "kitchen.sweep")

if __name__ == "__main__":
    sys.exit(app.run())
