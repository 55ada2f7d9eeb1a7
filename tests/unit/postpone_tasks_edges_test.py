"""The task library in Python where it meets others: a person, the bytes of frames, and a host without libatomic."""

import contextlib
import ctypes
import io
import pathlib
import struct
import sys
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/python"))

from postpone_tasks import App, BadArguments, Context, by_hand, frames, ledger, termination  # noqa: E402
from postpone_tasks.execute import execute  # noqa: E402


class ByHand(unittest.TestCase):
    def said(self, handler):
        app = App()
        app.task("t")(handler)
        said = io.StringIO()
        with contextlib.redirect_stderr(said), mock.patch.object(termination, "catch_by_hand"):
            by_hand.serve(app, "program.py", ["run", "t"], frames.VERSION)
        return said.getvalue().splitlines()

    def test_shows_what_the_handler_tells(self):
        def handler(job: Context):
            job.progress(1, 2, "half")
            job.log("warning", "slow", ms=12)
            job.log("info", "plain")
            job.result({"n": 1})

        self.assertEqual(
            self.said(handler)[:-1],
            ["progress: 1 of 2: half", 'warning: slow {"ms": 12}', "info: plain", 'result: {"n": 1}'],
        )

    def test_shows_what_a_retry_changes(self):
        def handler(job: Context):
            job.retry_in(2, "busy", priority=5, queue="slow", lock="l", counts=False)

        self.assertEqual(
            self.said(handler)[1],
            "would be retried in 2 s, in queue slow, with priority 5, with lock l, whatever its max_attempts",
        )


class Frames(unittest.TestCase):
    def decode(self, *pieces, version=frames.VERSION):
        decoder = frames.Decoder(version)
        for piece in pieces:
            decoder.append(piece)
        return decoder.next()

    def test_the_example_of_the_page(self):
        abort = bytes.fromhex("0a000000 05 0201000000000000 01")
        self.assertEqual(self.decode(abort), frames.Abort(258, 1))
        self.assertEqual(self.decode(*(bytes([byte]) for byte in abort)), frames.Abort(258, 1))
        self.assertIsNone(self.decode(abort[:-1]))

    RUN = "0700000000000000 01000000 0100000074 00000000 00000000 00000000 020000007b7d 0000000000000000"

    def test_a_run_has_the_words_of_its_version(self):
        fields = bytes.fromhex("04" + self.RUN)
        # With a tag 99, which we do not know.
        more = bytes.fromhex("01 0500000000000000" "63 0100000078" "01 020000007b7d" "03 020000003137")
        old = self.decode(struct.pack("<I", len(fields)) + fields, version=1)
        self.assertEqual(old, frames.Run(7, 1, "t", "", 0, "", "{}", 0))
        new = self.decode(struct.pack("<I", len(fields + more)) + fields + more)
        self.assertEqual(new, frames.Run(7, 1, "t", "", 0, "", "{}", 0, scheduled_at_us=5, meta="{}", deferred_by=17))
        with self.assertRaises(frames.ProtocolError):
            self.decode(struct.pack("<I", len(fields + more)) + fields + more, version=1)

    def test_the_first_version_gets_nothing_newer(self):
        job = frames.DeferredJob("t", "{}", "q", 0, None, None, 0, meta='{"n": 1}')
        plain = frames.DeferredJob("t", "{}", "q", 0, None, None, 0)
        new = frames.Result(7, retry_in_us=1, retry_counts=False, retry_queue="slow", defers=[job])
        old = frames.Result(7, retry_in_us=1, defers=[plain])
        self.assertEqual(frames.result(new, version=1), frames.result(old, version=1))
        self.assertNotEqual(frames.result(new), frames.result(old))
        self.assertEqual(frames.progress(7, 1, 2, "half", version=1), frames.progress(7, 1, 2, "", version=1))

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
            "2d000000 04" + self.RUN + "02",  # a flag that is neither 0 nor 1
            "39000000 04" + self.RUN + "00" + 2 * "01 01000000 78",  # meta for more jobs than there are
            "33000000 04" + self.RUN + "00" + "03 01000000 78",  # deferred by what is no number
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


class AroundHandlers(unittest.TestCase):
    def run_job(self, app, args="{}"):
        log = io.StringIO()
        with contextlib.redirect_stderr(log):
            result = execute(frames.Run(job_id=7, task="t", args=args), app, mock.Mock(stop_wish=lambda _: None))
        return result, log.getvalue()

    def test_the_first_middleware_is_the_outermost_and_sees_what_the_handler_raises(self):
        app, seen = App(), []

        @app.around
        def outer(job, call_next):
            seen.append(f"outer {job.args['n']}")
            try:
                call_next()
            except KeyError as error:
                job.retry_in(30, repr(error), counts=False)

        @app.around
        def inner(job, call_next):
            seen.append("inner")
            call_next()

        @app.task("t")
        def fail(n: int):
            raise KeyError(n)

        result, log = self.run_job(app, '{"n": 3}')
        self.assertEqual(seen, ["outer 3", "inner"])
        self.assertEqual((result.message, result.retry_in_us), ("KeyError(3); caused by: KeyError: 3", 30_000_000))

    def test_a_middleware_may_leave_the_handler_out_and_sees_unfit_arguments(self):
        app, seen = App(), []

        @app.around
        def careful(job, call_next):
            if job.args == {}:
                return
            try:
                call_next()
            except BadArguments as error:
                seen.append(str(error))
                raise

        app.task("t")(lambda n: self.fail("it runs"))
        self.assertEqual(self.run_job(app)[0].status, frames.Status.SUCCEEDED)
        self.assertEqual(self.run_job(app, '{"m": 1}')[0].status, frames.Status.BAD_ARGUMENTS)
        self.assertEqual(len(seen), 1)

    def test_the_traceback_begins_where_the_program_does(self):
        app = App()

        @app.task("t")
        def fail():
            raise KeyError("here")

        log = self.run_job(app)[1]
        self.assertIn("in fail", log)
        self.assertNotIn("execute.py", log)

    def test_what_is_set_up_is_torn_down_last_to_first(self):
        app, done = App(), []
        for name in "ab":
            app.set_up(lambda name=name: done.append(f"up {name}"))
            app.tear_down(lambda name=name: done.append(f"down {name}"))
        self.assertTrue(app.begin_process() and app.end_process())
        self.assertEqual(done, ["up a", "up b", "down b", "down a"])

    def test_a_set_up_that_fails_is_the_last_one(self):
        app, log = App(), io.StringIO()
        app.set_up(lambda: {}["database"])
        app.set_up(lambda: self.fail("it runs"))
        with contextlib.redirect_stderr(log):
            self.assertFalse(app.begin_process())
        self.assertEqual(log.getvalue(), "postpone_tasks: the set-up of the task process has failed: KeyError: 'database'\n")


if __name__ == "__main__":
    unittest.main()
