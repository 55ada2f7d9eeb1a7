#!/usr/bin/env python3
"""What scripts/plots makes of figures. plots_test.py DIRECTORY"""
import importlib.machinery
import importlib.util
import pathlib
import re
import sys
import unittest
import xml.dom.minidom

import tables

ROOT = pathlib.Path(sys.argv.pop() if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
loader = importlib.machinery.SourceFileLoader("plots", str(ROOT / "scripts/plots"))
plots = importlib.util.module_from_spec(importlib.util.spec_from_loader("plots", loader))
loader.exec_module(plots)


def figures(*rounds):
    spread = {"lowest": min(rounds), "median": sorted(rounds)[len(rounds) // 2], "highest": max(rounds)}
    return {"rounds": list(rounds), "spread": spread, "ratio": {name: value / 100 for name, value in spread.items()}}


def contender(name, kind="own", **measured):
    return {"name": name, "settings": "", "kind": kind, "figures": measured}


def workload(name, measure, *contenders, absent=()):
    return {"name": name, "title": f"what {name} does", "contenders": list(contenders), "absent": list(absent),
            "measures": [{"name": measure, "title": "jobs a second", "more_is_better": True, "base": "peer"}]}


def document(*workloads):
    return {"workloads": list(workloads), "rounds": 3, "command": "scripts/bench peers --rounds 3", "date": "2026-11-29",
            "machine": {"processor": "P", "cores": 2, "memory_gib": 24, "system": "S", "kernel": "K", "load": 0.25},
            "note": "The fan was broken.",
            "versions": {"PostgreSQL": "15"}, "server": {"fsync": "on"}}


NOOP = workload("noop-10", "jobs_per_s", contender("peer", "peer", jobs_per_s=figures(40_000, 47_400, 50_000)),
                contender("Postpone & Co", jobs_per_s=figures(4000, 6000, 7000)), contender("idle"),
                absent=[{"contender": "other", "why": "npm has not installed it"}])


def fetch(shape, *milliseconds):
    names = ["1 k plain waiting jobs", "1 k rows", "10 k rows", "1 M rows"]
    return workload(f"fetch-{shape}", "p50_ms", *(contender(name, p50_ms=figures(ms)) for name, ms in zip(names, milliseconds)))


def texts_of(svg):
    return [text.firstChild.data for text in xml.dom.minidom.parseString(svg).getElementsByTagName("text")]


class Plots(unittest.TestCase):
    def made(self, *workloads):
        return plots.plots_of(document(*workloads), "peers.json")

    def test_are_made_of_what_was_measured_alone(self):
        self.assertEqual(sorted(self.made(NOOP)), ["noop.svg"])
        self.assertEqual(self.made(), {})

    def test_have_words_for_readers_who_cannot_see_them(self):
        svg = xml.dom.minidom.parseString(self.made(NOOP)["noop.svg"][0]).documentElement
        self.assertIn("Postpone & Co 6,000", svg.getElementsByTagName("desc")[0].firstChild.data)

    def test_follow_the_screen_and_load_nothing(self):
        svg = self.made(NOOP)["noop.svg"][0]
        self.assertIn("prefers-color-scheme: dark", svg)
        self.assertNotIn("href", svg)

    def test_leave_out_a_contender_without_a_figure(self):
        self.assertNotIn("idle", texts_of(self.made(NOOP)["noop.svg"][0]))

    def test_draw_the_slower_one_to_the_left(self):
        svg = self.made(NOOP)["noop.svg"][0]
        peer, ours = [float(x) for x in re.findall(r'<circle [^>]*cx="([\d.]+)"', svg)]
        self.assertLess(ours, peer)

    def test_keep_labels_of_lines_apart_that_end_in_one_point(self):
        svg = self.made(fetch("a", 1, 1, 1, 1), fetch("b", 1, 1, 1, 1))["fetch.svg"][0]
        heights = [float(y) for y in re.findall(r'y="([\d.]+)" class="small">what', svg)]
        self.assertEqual(len(heights), 2)
        self.assertGreaterEqual(abs(heights[0] - heights[1]), 18)

    def test_know_rows_from_the_base(self):
        self.assertEqual(plots.rows_in("10 k rows"), 10_000)
        self.assertEqual(plots.rows_in("1 M rows"), 1_000_000)
        self.assertIsNone(plots.rows_in("1 k plain waiting jobs"))


class Page(unittest.TestCase):
    def test_has_figures_ratios_and_who_is_absent(self):
        part = plots.page_of(document(NOOP), {})
        self.assertIn("| Postpone & Co | 6,000 (4,000 to 7,000) | 60.0 (40.0 to 70.0) |", part)
        self.assertIn("| contender | jobs a second | ÷ peer |", part)
        self.assertIn("Absent: other (npm has not installed it).", part)
        self.assertEqual(list(tables.mistakes_of("page", part)), [])

    def test_says_on_what_it_was_measured(self):
        part = plots.page_of(document(NOOP), {})
        for words in ("scripts/bench peers --rounds 3", "P, 2 cores, 24 GiB, S, K", "Its load when this began: 0.2.",
                      "The fan was broken.", "PostgreSQL 15", "`fsync = on`"):
            self.assertIn(words, part)

    def test_keeps_what_stands_around_its_part(self):
        page = f"before\n{plots.BEGIN}\nold\n{plots.END}\nafter\n"
        self.assertEqual(plots.with_part(page, "new"), f"before\n{plots.BEGIN}\nnew\n{plots.END}\nafter\n")

    def test_refuses_a_page_without_a_place_for_it(self):
        with self.assertRaisesRegex(plots.Mistake, "there is no"):
            plots.with_part("a page", "new")


if __name__ == "__main__":
    unittest.main()
