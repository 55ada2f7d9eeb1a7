"""What blocks.py finds in a page, and what it takes for the same output."""
import unittest

from blocks import Block, Mistake, alike, blocks_of, blocks_of_manual, commands_of


def page(*lines):
    return blocks_of("page.md", "\n".join(lines) + "\n")


def shell(text, language="console"):
    return [(command, shown) for _, command, shown in
            commands_of(Block("page.md", 1, language, {}, "", text))]


class Blocks(unittest.TestCase):
    def refused(self, words, *lines):
        with self.assertRaisesRegex(Mistake, words):
            page(*lines)

    def test_a_block_has_a_place_a_language_and_a_text(self):
        [block] = page("Words", "", "```sh", "ls", "```")
        self.assertEqual((block.place, block.language, block.text), ("page.md:3", "sh", "ls\n"))

    def test_a_fence_says_as_whom_and_what_comes_out(self):
        [block] = page("```console as=client exits=2", "$ false", "```")
        self.assertEqual(block.attributes, {"as": "client", "exits": "2"})

    def test_a_block_that_is_not_run_says_why(self):
        [block] = page("```sh not-run: needs a booted systemd", "systemctl stop x", "```")
        self.assertEqual(block.not_run, "needs a booted systemd")
        self.refused("page.md:1: .*without a reason", "```sh not-run:", "x", "```")

    def test_a_block_without_a_language_is_refused(self):
        self.refused("page.md:2: this block has no language", "", "```", "$ ls", "```")

    def test_a_transcript_cannot_pass_for_output(self):
        self.refused("page.md:1: .*transcripts are ```console", "```text", "$ ls", "```")

    def test_a_language_that_nothing_runs_is_refused(self):
        self.refused("```perl", "```perl", "print", "```")

    def test_a_word_that_means_nothing_is_refused(self):
        self.refused("role=x means nothing", "```sh role=x", "ls", "```")
        self.refused("not-rum: means nothing", "```sh not-rum: why", "ls", "```")

    def test_a_block_that_never_ends_is_refused(self):
        self.refused("page.md:1: .*never ends", "```sh", "ls")

    def test_fences_in_a_longer_fence_are_its_text(self):
        [block] = page("````text", "```", "x", "```", "````")
        self.assertEqual(block.text, "```\nx\n```\n")


class ManualPages(unittest.TestCase):
    def test_examples_are_blocks(self):
        [first, second] = blocks_of_manual("x.1.in", ".SH A\n.EX\nx \\(aqa\\(aq \\-\\-b\n.EE\nwords\n.EX\n[group]\n.EE\n")
        self.assertEqual((first.place, first.language, first.text), ("x.1.in:2", "sh", "x 'a' --b\n"))
        self.assertEqual((second.place, second.language, second.text), ("x.1.in:6", "toml", "[group]\n"))


class Commands(unittest.TestCase):
    def test_a_transcript_is_commands_and_what_they_print(self):
        self.assertEqual(shell("$ one\n1\n 2\n$ two\n"), [("one", "1\n 2"), ("two", None)])

    def test_a_transcript_begins_with_a_command(self):
        with self.assertRaisesRegex(Mistake, "page.md:2: .*does not begin"):
            shell("1\n$ one\n")

    def test_a_here_document_is_a_part_of_its_command(self):
        self.assertEqual(shell("$ psql <<'SQL'\nSELECT 1;\nSQL\n1\n"), [("psql <<'SQL'\nSELECT 1;\nSQL", "1")])

    def test_what_bash_would_wait_for_is_a_part_of_its_command(self):
        self.assertEqual(shell("$ echo 'a\nb'\na\nb\n"), [("echo 'a\nb'", "a\nb")])
        self.assertEqual(shell("$ echo a \\\n  b\na b\n"), [("echo a \\\n  b", "a b")])
        self.assertEqual(shell("for a in 1 2; do\n  echo $a\ndone\nls\n", "sh"),
                         [("for a in 1 2; do\n  echo $a\ndone", None), ("ls", None)])

    def test_a_script_has_comments_and_shows_no_output(self):
        self.assertEqual(shell("# why\nls   # what\n\n", "sh"), [("ls   # what", None)])


class Alike(unittest.TestCase):
    def test_only_what_changes_from_run_to_run_may_differ(self):
        for shown, printed in {
            "succeeded in 0.0004 s": "succeeded in 0.123 s",
            "after 1.0 ms, memory 3.6 MiB": "after 1.2 s, memory 904 KiB",
            "in 3 min 00 s": "in 2 min 59 s",
            "  2026-11-22 09:47:42.302  deferred": "  2031-01-02 00:00:00.000  deferred",
            "f()+0x14 (x+0x8b45)": "f()+0x1 (x+0xfff)",
            "process 25752 runs": "process 7 runs",
            "by kitchen/1": "by kitchen/0",
            "(PostgreSQL 15.14)": "(PostgreSQL 18.4)",
            "1234": "1",
            "a   b": "a b",
            "why: …": "why: no towel",
        }.items():
            self.assertTrue(alike(shown, printed), (shown, printed))

    def test_everything_else_is_as_shown(self):
        for shown, printed in {
            "job 1: succeeded": "job 1: failed",
            "job 1": "job 2",
            "version 5": "version 6",
            "a.b": "axb",
            "one": "one\ntwo",
            "one\ntwo": "one",
            "1234 jobs": "1 jobs",
        }.items():
            self.assertFalse(alike(shown, printed), (shown, printed))

    def test_a_line_of_dots_stands_for_any_number_of_lines(self):
        self.assertTrue(alike("a\n…\nd", "a\nb\nc\nd"))
        self.assertTrue(alike("a\n…\nd", "a\nd"))
        self.assertFalse(alike("a\n…\nd", "a\nb"))


if __name__ == "__main__":
    unittest.main()
