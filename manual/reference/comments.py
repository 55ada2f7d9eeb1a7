#!/usr/bin/env python3
"""Shows Doxygen a public header as it wants to read one. Our comments are plain text for people: one in front of a declaration, or
behind it on its line, belongs to it; indented lines in it are an example or a table, and stay as they are. Nothing in the text is a
command, a tag or a link.

Usage: comments.py HEADER"""
import re
import sys

COMMENT = re.compile(r"\s*//(.*)")
BEHIND = re.compile(r"(.*[;,{})>])\s+// (.*)")
RULE = re.compile(r"\s*-{20,}\s*")


def plain(text):
    return re.sub(r'([\\@<>#%&"])', r"\\\1", text).replace("*/", "*\\/")


class Header:
    def __init__(self, lines):
        self.lines = lines
        self.out = []
        self.block = []  # of the comment that is being read
        self.is_as_it_stands = False

    def stand(self, is_as_it_stands):
        if is_as_it_stands == self.is_as_it_stands:
            return
        self.is_as_it_stands = is_as_it_stands
        # An empty line ends the brief description.
        self.block += ["", "\\verbatim"] if is_as_it_stands else ["\\endverbatim"]

    def comment(self, text):
        if RULE.fullmatch(text):
            self.end_comment()
            return
        if text.strip() or not self.is_as_it_stands:
            self.stand(text.startswith("   ") and not text.lstrip().startswith("- "))
        self.block.append(text.replace("*/", "* /") if self.is_as_it_stands else plain(text))

    def end_comment(self):
        self.stand(False)
        if self.block:
            self.out += ["/**", *self.block, "*/"]
        self.block = []

    def shown(self):
        if self.lines and COMMENT.fullmatch(self.lines[0]):
            self.block = ["\\file", ""]
        for line in self.lines:
            comment = COMMENT.fullmatch(line)
            if comment:
                self.comment(comment[1])
                continue
            self.end_comment()
            behind = BEHIND.fullmatch(line)
            if behind and behind[1].strip() != "}" and "//" not in behind[1] + behind[2]:
                line = f"{behind[1]} ///< {plain(behind[2])}"
            self.out.append(line)
        self.end_comment()
        return "\n".join(self.out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(Header(file.read().splitlines()).shown())
