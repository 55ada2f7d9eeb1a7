#!/usr/bin/env python3
"""words.py DIRECTORY

Each word that docs/words.md of DIRECTORY explains stands there once, and is in use: in another document, or in a header or SQL function of
the tree. A word that was renamed in the code, and not in the glossary, is found so.
"""
import pathlib
import re
import sys


def words_of(text):
    return [cells[1].strip() for line in text.split("\n") if line.startswith("| ")
            for cells in [line.split("|")] if cells[1].strip() not in ("word", "---")]


def is_used(word, text):
    forms = [form.removeprefix("to ").strip() for form in word.split(",")]
    return all(re.search(rf"\b{re.escape(form)}", text, re.IGNORECASE) for form in forms)


def main():
    root = pathlib.Path(sys.argv[1])
    words = words_of((root / "docs/words.md").read_text())
    rooms = [path for room in ("board", "cli", "config", "libtask", "sql", "subworker", "supervisor", "sys") for path in
             (*(root / room).rglob("*.h"), *(root / room).rglob("*.sql"))]
    pages = [page for page in (root / "docs").glob("*.md") if page.name != "words.md"]
    # Comments and sentences are broken at the end of a line.
    text = re.sub(r"\s+(?:(?://|--) )?", " ", "\n".join(path.read_text() for path in [root / "README.md", *pages, *rooms]))
    mistakes = [f"docs/words.md: {word} stands there twice" for word in sorted(set(words)) if words.count(word) > 1]
    mistakes += [f"docs/words.md: {word} is used nowhere else" for word in words if not is_used(word, text)]
    print("\n".join(mistakes + [f"{len(words)} words"]))
    sys.exit(1 if mistakes or not words else 0)


if __name__ == "__main__":
    main()
