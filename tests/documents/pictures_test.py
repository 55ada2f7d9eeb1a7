#!/usr/bin/env python3
"""What scripts/pictures and tables.py refuse. pictures_test.py DIRECTORY"""
import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest
import xml.dom.minidom

import tables

ROOT = pathlib.Path(sys.argv.pop() if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
loader = importlib.machinery.SourceFileLoader("pictures", str(ROOT / "scripts/pictures"))
pictures = importlib.util.module_from_spec(importlib.util.spec_from_loader("pictures", loader))
sys.modules["pictures"] = pictures
loader.exec_module(pictures)

HEAD = 'size 400 200\ntitle "Bells"\ndesc "Two bells & a rope"\n'


def drawn(source, dark=False):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "bells.picture"
        path.write_text(HEAD + source)
        return pictures.draw(path, dark)


class Pictures(unittest.TestCase):
    def refuses(self, source, words):
        with self.assertRaisesRegex(pictures.Mistake, words):
            drawn(source)

    def test_is_an_image_with_words_for_readers_who_cannot_see_it(self):
        svg = xml.dom.minidom.parseString(drawn('box a plain 10 10 80 40 "*bell"')).documentElement
        self.assertEqual(svg.getAttribute("viewBox"), "0 0 400 200")
        self.assertEqual(svg.getElementsByTagName("desc")[0].firstChild.data, "Two bells & a rope")
        self.assertEqual(svg.getElementsByTagName("text")[0].firstChild.data, "bell")

    def test_follows_the_screen_and_loads_nothing(self):
        svg = drawn("")
        self.assertIn("@media (prefers-color-scheme: dark)", svg)
        self.assertNotIn("@media", drawn("", dark=True))
        self.assertNotIn("url(", svg)

    def test_text_has_to_fit_into_its_box(self):
        self.refuses('box a plain 150 10 80 40 "a bell that is heard from afar"', "does not fit into box a")

    def test_text_meets_nothing(self):
        self.refuses('text 10 50 start "one"\ntext 15 52 start "other"', '"other" meets "one"')
        self.refuses('text 10 50 start "one"\nbox a plain 20 20 80 60 ""', '"one" meets box a')
        self.refuses('text 10 50 start "one"\nline 0,46 100,46', 'a line crosses "one"')
        self.refuses('text 390 50 start "one"', '"one" leaves the paper')

    def test_a_line_passes_beneath_the_text_of_a_box(self):
        drawn('box a plain 10 10 80 40 "bell"\nline 50,0 50,100')

    def test_an_arrow_may_come_before_its_boxes(self):
        self.assertIn('d="M90 30L200 30"', drawn('arrow a.right 200,30\nbox a plain 10 10 80 40 "bell"'))
        self.refuses("arrow a.right 200,30", "bells.picture:4: a.right is no point and no side of a box")

    def test_a_corner_may_keep_a_number(self):
        self.assertIn("Q100 10", drawn("line 10,10 100, ,90"))


class Tables(unittest.TestCase):
    def mistakes(self, text):
        return list(tables.mistakes_of("page.md", text))

    def test_a_long_cell_is_a_mistake(self):
        head = "| a | b |\n| --- | --- |\n"
        self.assertEqual(self.mistakes(head + f"| x | {'y' * 160} |"), [])
        self.assertRegex(self.mistakes(head + f"| x | {'y' * 161} |")[0], "page.md:3: a cell of 161 characters")

    def test_rows_have_the_cells_of_their_head(self):
        self.assertRegex(self.mistakes("| a | b |\n| --- | --- |\n| x |")[0], "page.md:3: 1 cells")
        self.assertEqual(self.mistakes("| a | b |\n| --- | --- |\n| `x | y` | a \\| b |"), ["page.md:3: 3 cells, the head of the table has 2"])

    def test_what_a_fence_holds_is_no_table(self):
        self.assertEqual(self.mistakes(f"```text\n| {'y' * 200} |\n```\n"), [])


if __name__ == "__main__":
    unittest.main()
