"""The task library in Python, without a channel: arguments, registration, description, frames, and how a handler ends."""

import contextlib
import ctypes
import io
import json
import pathlib
import sys
import typing
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/python"))

from postpone_tasks import Aborted, App, BadArguments, Context, Retry, RetryOptions, frames, ledger  # noqa: E402
from postpone_tasks.arguments import Parameters, parse  # noqa: E402
from postpone_tasks.execute import execute  # noqa: E402


class Giver:
    """In the place of the sub-worker."""

    def __init__(self):
        self.wish = None
        self.progress = []

    def stop_wish(self, _job_id):
        return self.wish

    def tell_progress(self, _job_id, done, total):
        self.progress.append((done, total))


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
        app.periodic("* * * * *", "d")
        lines = self.complaints(app)
        self.assertEqual(lines[0], 'program.py: task "a": it is registered twice')
        self.assertIn('program.py: task "b": ', lines[1])
        self.assertEqual(lines[2], 'program.py: task "c": the parameter "numbers" cannot be given by its name')
        self.assertEqual(lines[3], 'program.py: schedule "* * * * *": there is no task "d"')

    def test_a_handler_is_still_a_function(self):
        app = App()

        @app.task("double")
        def double(n: int):
            return 2 * n

        self.assertEqual(double(2), 4)

    def test_is_described(self):
        app = App()
        app.task("a", queue="q", time_limit=1.5, retry=RetryOptions(max_attempts=2, wait=3))(lambda: None)
        app.periodic("@daily", "a", id="x", args={"n": 1})
        description = json.loads(app.describe(2))
        self.assertEqual(description["tasks"][0]["time_limit_ms"], 1500)
        self.assertEqual(description["tasks"][0]["retry"]["max_attempts"], 2)
        self.assertEqual(description["periodic"], [{"cron": "@daily", "task": "a", "id": "x", "args": {"n": 1}}])


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
        for task, args, more in [("", {}, {}), ("a", {}, {"delay": -1}), ("a", {"n": float("nan")}, {})]:

            def handler(job: Context):
                job.defer(task, args, **more)

            self.assertEqual(self.result_of(handler).exception_type, "ValueError")

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
                job.progress(n, 1000)

        self.result_of(handler, giver)
        self.assertEqual((giver.progress[0], giver.progress[-1]), ((1, 1000), (1000, 1000)))
        self.assertLess(len(giver.progress), 100)


class Frames(unittest.TestCase):
    def decode(self, *pieces):
        decoder = frames.Decoder()
        for piece in pieces:
            decoder.append(piece)
        return decoder.next()

    def test_the_example_of_the_page(self):
        abort = bytes.fromhex("0a000000 05 0201000000000000 01")
        self.assertEqual(self.decode(abort), frames.Abort(258, 1))
        self.assertEqual(self.decode(*(bytes([byte]) for byte in abort)), frames.Abort(258, 1))
        self.assertIsNone(self.decode(abort[:-1]))

    def test_what_breaks_the_protocol(self):
        for broken in [
            "00000000",  # a frame without a type
            "ffffffff 05",  # too long
            "01000000 63",  # an unknown type
            "01000000 05",  # a body that is too short
            "02000000 02 00",  # one that is too long
            "0a000000 05 0201000000000000 03",  # an unknown reason
            "05000000 03 ffffff7f",  # a text longer than its frame
            "11000000 09 01000000 0000000000000000 00000000",  # a set of no jobs
        ]:
            with self.assertRaises(frames.ProtocolError, msg=broken):
                self.decode(bytes.fromhex(broken))


class WithoutLibatomic(unittest.TestCase):
    def test_jobs_come_one_by_one(self):
        with mock.patch.object(ctypes, "CDLL", side_effect=OSError):
            self.assertIsNone(ledger.compare_exchange())
            with mock.patch.dict("os.environ", {ledger.VARIABLE: "4"}), mock.patch("os.close") as close:
                self.assertIsNone(ledger.open_ledger())
            close.assert_called_once_with(4)


if __name__ == "__main__":
    unittest.main()
