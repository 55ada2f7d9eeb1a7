"""The task library in Python, without a channel: arguments, registration, description, what a handler tells, how it ends."""

import contextlib
import datetime
import io
import json
import pathlib
import sys
import typing
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/python"))

from postpone_tasks import Aborted, App, BadArguments, Context, Retry, RetryOptions, frames  # noqa: E402
from postpone_tasks.arguments import Parameters, parse  # noqa: E402
from postpone_tasks.execute import execute  # noqa: E402


class Giver:
    """In the place of the sub-worker."""

    def __init__(self):
        self.wish = None
        self.progress = []
        self.values = []
        self.lines = []

    def stop_wish(self, _job_id):
        return self.wish

    def tell_progress(self, _job_id, done, total, note):
        self.progress.append((done, total, note))

    def tell_value(self, _job_id, value):
        self.values.append(value)

    def log(self, _job_id, level, text, fields):
        self.lines.append((level, text, fields))


def run(app, task, args="{}", giver=None, **more):
    with contextlib.redirect_stderr(io.StringIO()):
        return execute(frames.Run(job_id=7, task=task, args=args, **more), app, giver or Giver())


class Arguments(unittest.TestCase):
    def read(self, handler, args):
        return Parameters(handler).read(parse(json.dumps(args), "t"), "t")

    def refused(self, handler, args):
        with self.assertRaises(BadArguments) as caught:
            self.read(handler, args)
        return str(caught.exception)

    def test_are_read_by_the_types_of_the_parameters(self):
        def handler(job: Context, a: bool, b: int, c: float, d: str, e: list[int], f: dict[str, float], g: int | None):
            pass

        args = {"a": True, "b": 2, "c": 3, "d": "x", "e": [1, 2], "f": {"y": 0.5}, "g": None}
        self.assertEqual(self.read(handler, args), args)
        self.assertIs(type(self.read(handler, args)["c"]), float)

    def test_with_a_default_may_be_missing(self):
        def handler(dish: str, times: int = 3):
            pass

        self.assertEqual(self.read(handler, {"dish": "plate"}), {"dish": "plate"})
        self.assertEqual(self.refused(handler, {"times": 1}), 'argument "dish" of t is missing: expected string')

    def test_of_another_type_are_refused(self):
        def handler(times: int = 0, names: list[str] = (), share: float | None = None):
            pass

        for args, what in [
            ({"times": True}, 'argument "times" of t: expected integer, got boolean true'),
            ({"times": 1.0}, 'argument "times" of t: expected integer, got number 1.0'),
            ({"times": None}, 'argument "times" of t: expected integer, got null'),
            ({"names": ["a", 1]}, 'element 1 of argument "names" of t: expected string, got integer 1'),
            ({"share": "x"}, 'argument "share" of t: expected number, got string "x"'),
        ]:
            self.assertEqual(self.refused(handler, args), what)

    def test_that_are_not_among_the_parameters_are_refused(self):
        def handler(dish: str = ""):
            pass

        self.assertEqual(self.refused(handler, {"dsh": 1}), 'unexpected argument "dsh" of t: it takes "dish"')
        self.assertEqual(self.read(handler, {"timestamp": 1}), {}, "which jobs of schedules carry")

    def test_that_are_no_object_are_refused(self):
        for text in ["", "[1]", "{", "3", "[" * 100_000]:
            with self.assertRaises(BadArguments):
                parse(text, "t")

    def test_without_a_type_take_anything(self):
        def handler(a, b: typing.Any):
            pass

        self.assertEqual(self.read(handler, {"a": [1], "b": None}), {"a": [1], "b": None})


class Registration(unittest.TestCase):
    def complaints(self, app):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), mock.patch.object(sys, "argv", ["/x/program.py"]):
            self.assertEqual(app.run(["--describe"]), 2)
        return said.getvalue().splitlines()

    def test_each_mistake_is_a_line(self):
        app = App()
        app.task("a")(lambda: None)
        app.task("a")(lambda: None)
        app.task("b", queu="q")(lambda: None)
        app.task("c")(lambda *numbers: None)
        app.task("e", aliases=["old", "a"])(lambda: None)
        app.task("f", aliases="old")(lambda: None)
        app.periodic("* * * * *", "d")
        lines = self.complaints(app)
        self.assertEqual(lines[0], 'program.py: task "a": it is registered twice')
        self.assertIn('program.py: task "b": ', lines[1])
        self.assertEqual(lines[2], 'program.py: task "c": the parameter "numbers" cannot be given by its name')
        self.assertEqual(lines[3], 'program.py: task "e": "a" is the name of a task, or an alias, already')
        self.assertEqual(lines[4], 'program.py: task "f": its aliases are no list of names, but one text')
        self.assertEqual(lines[5], 'program.py: schedule "* * * * *": there is no task "d"')

    def test_a_handler_is_still_a_function(self):
        app = App()

        @app.task("double")
        def double(n: int):
            return 2 * n

        self.assertEqual(double(2), 4)

    def test_is_described(self):
        app = App()
        retry = RetryOptions(max_attempts=2, wait=3, max_wait=60, jitter=0.2)
        more = {"aliases": ["b"], "memory_limit": 1 << 20, "concurrency_limit": 2, "fresh_process": True}
        app.task("a", queue="q", time_limit=1.5, retry=retry, **more)(lambda: None)
        app.periodic("@daily", "a", id="x", args={"n": 1}, zone="Europe/Paris", missed="all", missed_within=60)
        description = json.loads(app.describe(3))
        (task,) = description["tasks"]
        self.assertEqual((task["time_limit_ms"], task["memory_limit_bytes"]), (1500, 1 << 20))
        self.assertEqual((task["aliases"], task["concurrency_limit"], task["fresh_process"]), (["b"], 2, True))
        self.assertEqual((task["retry"]["max_attempts"], task["retry"]["max_wait_s"], task["retry"]["jitter"]), (2, 60, 0.2))
        (schedule,) = description["periodic"]
        self.assertEqual(schedule["args"], {"n": 1})
        self.assertEqual((schedule["zone"], schedule["missed"], schedule["missed_within_s"]), ("Europe/Paris", "all", 60))

    def test_an_alias_is_another_name(self):
        app = App()
        app.task("new", aliases=["old"], queue="q")(lambda: None)
        self.assertEqual(run(app, "old").status, frames.Status.SUCCEEDED)
        self.assertEqual(app.options_of("old").queue, "q")


class Ending(unittest.TestCase):
    def result_of(self, handler, giver=None, **options):
        app = App()
        app.task("t", **options)(handler)
        return run(app, "t", giver=giver)

    def test_a_return_is_a_success_with_what_was_deferred(self):
        app = App()
        app.task("other", queue="q", lock="l")(lambda: None)

        @app.task("t")
        def handler(job: Context):
            job.defer("other", {"n": 1}, delay=1.5)
            job.defer("other", lock="")
            job.defer("foreign", priority=3)

        result = run(app, "t")
        self.assertEqual(result.status, frames.Status.SUCCEEDED)
        self.assertEqual(
            result.defers,
            [
                frames.DeferredJob("other", '{"n": 1}', "q", 0, "l", None, 1_500_000),
                frames.DeferredJob("other", "{}", "q", 0, None, None, 0),
                frames.DeferredJob("foreign", "{}", "default", 3, None, None, 0),
            ],
        )

    def test_what_cannot_be_deferred_is_an_exception_of_the_handler(self):
        for task, args, more in [
            ("", {}, {}),
            ("a", {}, {"delay": -1}),
            ("a", {"n": float("nan")}, {}),
            ("a", {}, {"meta": {"text": "x" * 8192}}),
        ]:

            def handler(job: Context):
                job.defer(task, args, **more)

            self.assertEqual(self.result_of(handler).exception_type, "ValueError")

    def test_what_is_deferred_may_have_meta_of_its_own(self):
        def handler(job: Context):
            for meta in [None, {"tenant": "ann"}, {}]:
                job.defer("t", meta=meta)

        self.assertEqual([job.meta for job in self.result_of(handler).defers], ["", '{"tenant": "ann"}', "{}"])

    def test_more_than_a_frame_holds_is_not_deferred(self):
        def handler(job: Context):
            for _ in range(20):
                job.defer("t", {"text": "x" * 1024 * 1024})

        result = self.result_of(handler)
        self.assertIn("defers more than 15 MiB (14 jobs so far)", result.message)
        self.assertEqual(result.defers, [])

    def test_an_exception_is_kept_with_its_causes(self):
        def handler():
            try:
                {}["plate"]
            except KeyError as error:
                raise OSError("no towel") from error

        result = self.result_of(handler)
        self.assertEqual(result.exception_type, "OSError")
        self.assertEqual(result.message, "no towel; caused by: KeyError: 'plate'")
        self.assertTrue(result.retryable)

    def test_an_exception_may_have_nothing_to_say(self):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError

        def handler():
            raise Mute

        self.assertEqual(self.result_of(handler).message, "")

    def test_a_retry_strategy_may_be_for_some_exceptions(self):
        def handler():
            raise FileNotFoundError("x")

        for on, retryable in [((), True), ((OSError,), True), ((KeyError,), False)]:
            self.assertIs(self.result_of(handler, retry=RetryOptions(on=on)).retryable, retryable)

    def test_a_handler_may_ask_for_a_retry(self):
        def handler():
            raise Retry(2.5, "busy")

        result = self.result_of(handler)
        self.assertEqual((result.status, result.message), (frames.Status.EXCEPTION, "busy"))
        self.assertEqual(result.retry_in_us, 2_500_000)

    def test_a_retry_may_change_the_job_and_not_count(self):
        def handler(job: Context):
            job.retry_in(1, priority=5, queue="slow", lock="l", counts=False)

        result = self.result_of(handler)
        self.assertEqual((result.retry_priority, result.retry_queue, result.retry_lock), (5, "slow", "l"))
        self.assertFalse(result.retry_counts)

    def test_a_retry_may_be_at_a_time(self):
        def handler(job: Context, in_s: float):
            job.retry_at(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=in_s))

        app = App()
        app.task("t")(handler)
        self.assertAlmostEqual(run(app, "t", '{"in_s": 3600}').retry_in_us, 3_600_000_000, delta=60_000_000)
        self.assertEqual(run(app, "t", '{"in_s": -3600}').retry_in_us, 0)

    def test_a_retry_that_cannot_be_is_an_exception_of_the_handler(self):
        for changes in [{"queue": ""}, {"queue": "q" * 129}, {"lock": ""}, {"lock": "é" * 1001}, {"priority": 1 << 31}]:

            def handler(job: Context):
                job.retry_in(1, **changes)

            self.assertEqual(self.result_of(handler).exception_type, "ValueError", changes)
        self.assertRaises(ValueError, Retry, float("nan"))

    def test_the_last_result_counts_and_only_of_a_success(self):
        def good(job: Context):
            job.result(1)
            job.result({"pages": [1, None]})

        def bad(job: Context):
            job.result(1)
            raise RuntimeError

        giver = Giver()
        self.result_of(good, giver)
        self.result_of(bad, giver)
        self.assertEqual(giver.values, ['{"pages": [1, null]}'])

    def test_a_result_that_cannot_be_is_an_exception_of_the_handler(self):
        for value, kind in [("x" * 1024 * 1024, "ValueError"), (float("inf"), "ValueError"), ({1}, "TypeError")]:

            def handler(job: Context):
                job.result(value)

            giver = Giver()
            self.assertEqual(self.result_of(handler, giver).exception_type, kind)
            self.assertEqual(giver.values, [])

    def test_lines_for_the_log_have_a_level_and_fields(self):
        def handler(job: Context):
            job.log("warning", "slow", ms=12, text="x")
            job.log("info", "é" * 5000)
            job.log("info", "much", data="x" * 20_000)
            job.log("loud", "x")

        giver = Giver()
        self.assertIn('"loud" is no level of a log line', self.result_of(handler, giver).message)
        self.assertEqual(giver.lines[0], ("warning", "slow", '{"ms": 12, "text": "x"}'))
        self.assertEqual(giver.lines[1][1], "é" * 4096 + "…")
        self.assertEqual(giver.lines[2][1:], ("much (its fields are left out: 20012 bytes, of at most 16384)", "{}"))

    def test_a_handler_sees_meta_and_who_deferred_the_job_and_when_it_was_to_start(self):
        seen = []

        def handler(job: Context):
            seen.append((job.meta, job.scheduled_at, job.deferred_by))

        app = App()
        app.task("t")(handler)
        run(app, "t")
        run(app, "t", meta='{"tenant": "ann"}', scheduled_at_us=1_500_000, deferred_by=7)
        run(app, "t", scheduled_at_us=-(1 << 63))
        utc = datetime.timezone.utc
        self.assertEqual(seen[0], ({}, None, None))
        self.assertEqual(seen[1], ({"tenant": "ann"}, datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, utc), 7))
        self.assertEqual(seen[2][1].year, 1, "what no datetime holds")

    def test_a_handler_that_returns_when_it_should_stop_is_aborted(self):
        giver = Giver()
        giver.wish = 0

        def handler(job: Context):
            job.defer("t")
            job.should_abort()

        result = self.result_of(handler, giver)
        self.assertEqual((result.status, result.abort_reason, result.defers), (frames.Status.ABORTED, 0, []))

    def test_a_handler_may_give_up_by_itself(self):
        def handler():
            raise Aborted

        result = self.result_of(handler)
        self.assertEqual((result.status, result.abort_reason), (frames.Status.ABORTED, None))

    def test_the_time_limit_is_a_reason_to_stop(self):
        app = App()

        @app.task("t")
        def handler(job: Context):
            while not job.should_abort():
                self.assertLessEqual(job.time_left(), 0.005)

        self.assertEqual(run(app, "t", time_limit_ms=5).abort_reason, 1)

    def test_a_long_message_is_cut_between_two_letters(self):
        def handler():
            raise ValueError("x" + "é" * 10_000)

        message = self.result_of(handler).message
        self.assertTrue(message.endswith("é…"))
        self.assertLess(len(message.encode()), 8_200)

    def test_progress_is_told_at_most_ten_times_a_second_and_at_the_end(self):
        giver = Giver()

        def handler(job: Context):
            for n in range(1, 1001):
                job.progress(n, 1000, "é" * n)

        self.result_of(handler, giver)
        self.assertEqual((giver.progress[0], giver.progress[-1]), ((1, 1000, "é"), (1000, 1000, "é" * 128)))
        self.assertLess(len(giver.progress), 100)


    def test_a_progress_that_cannot_be_is_an_exception_of_the_handler(self):
        for done, kind in [(-1, "ValueError"), (1 << 64, "ValueError"), (0.5, "TypeError")]:

            def handler(job: Context):
                job.progress(1)
                job.progress(done)

            self.assertEqual(self.result_of(handler).exception_type, kind)


if __name__ == "__main__":
    unittest.main()
