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

from postpone_tasks import App, Context, by_hand, frames, ledger, termination  # noqa: E402


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


if __name__ == "__main__":
    unittest.main()
