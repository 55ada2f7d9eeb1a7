#!/usr/bin/env python3
"""names.py DIRECTORY

What the documents for developers of DIRECTORY name in backticks is there, in the tree:

  `dir/file.cc`, `file.cc`    a file, by its path or by an end of it that no other file has
  `dir/`                      a directory, likewise
  `name()`, `Class::name()`   a function that the sources have outside of comments, and of that class (or namespace)
  `Class::name`, `Class`, `kName`, `some_name`   a word of the sources, and of that class
  `unit/name`                 tests of that kind whose program is called so, or begins so; in fenced blocks too

A function whose file is named right behind it, `name()` (`file.cc`), or in the cell before it, stands in that file or its header.
A name with a part in capitals or with an ellipsis (`NAME.picture`, `cli/…_command.cc`) stands for many, and is not looked for.
"""
import functools
import os
import pathlib
import re
import sys

PAGES = ("docs/architecture.md", "docs/contributing.md", "docs/words.md")

# Of others, or of the future.
NOT_OURS = {
    "libtask/client.h",  # "Not there yet"
    "vfork()",           # of Linux, called by Boost.Process
}

KINDS = ("unit", "process", "integration", "faults", "torture", "documents")
SOURCES = (".cc", ".h", ".in", ".py", ".sql", ".toml", ".txt", ".yml", ".json", "")
FILE = r"[\w.+-]+(?:/[\w.+-]+)*"


class Tree:
    def __init__(self, root):
        self.files, self.directories, self.texts = [], set(), {}
        for where, directories, names in os.walk(root):
            here = pathlib.Path(where).relative_to(root)
            directories[:] = [name for name in directories if name not in ("build", "docs") and not name.startswith(".")]
            self.directories.add(here.as_posix())
            for name in names:
                path = (here / name).as_posix()
                self.files.append(path)
                if name != "names.py" and pathlib.Path(name).suffix in SOURCES:
                    self.texts[path] = without_comments((root / path).read_text(errors="replace"))
        # Documents are named too, and no words are looked for in them.
        self.files += [path.relative_to(root).as_posix() for path in (root / "docs").rglob("*") if path.is_file()]
        self.files += [path.name for path in root.glob(".*") if path.is_file()]
        self.directories |= {"docs", "docs/pictures"}
        self.words = {}
        for path, text in self.texts.items():
            for word in set(re.findall(r"\w+", text)):
                self.words.setdefault(word, []).append(path)
        self.functions = {name for text in self.texts.values() for name in re.findall(r"(\w+)\s*\(", text)}

    def fault_of_path(self, path):
        there, what = (self.directories, "directory") if path.endswith("/") else (self.files, "file")
        path = path.rstrip("/")
        if path in there:
            return None
        found = sorted(one for one in there if one.endswith("/" + path))
        if len(found) > 1:
            return f"may be each of {', '.join(found)}"
        return None if found else f"no such {what}"

    def fault_of_name(self, scopes, name, is_function):
        if is_function and name not in self.functions:
            return "no such function"
        if name not in self.words:
            return "no source has this word"
        if not scopes:
            return None
        scope = scopes[-1]
        homes = self.homes_of(scope)
        if not homes:
            return f"no class or namespace {scope}"
        member = rf"\b{name}\s*\(" if is_function else rf"\b{name}\b"
        if any(re.search(member, self.texts[path]) for path in homes) or any(
                re.search(rf"\b{scope}::{name}\b", self.texts[path]) for path in self.words[name]):
            return None
        return f"{scope} has no {name}"

    @functools.lru_cache(maxsize=None)
    def homes_of(self, scope):
        """The files that define a class or namespace."""
        own = re.compile(rf"^ *(?:enum )?(?:class|struct|namespace)\b[^;{{()\n]*\b{scope}\b[^;()\n]*\{{", re.MULTILINE)
        return [path for path in self.words.get(scope, ()) if own.search(self.texts[path])]

    def has_tests(self, kind, name):
        """Whether a program of that kind is called so, or begins so. One program may be of several files."""
        programs = self.texts[f"tests/{kind}/CMakeLists.txt"] + self.texts["tests/CMakeLists.txt"]
        return re.search(rf"(?:^|[ (]){name}\w*_test\b(?!\.)|NAME {kind}/{name}", programs)

    def fault_of_place(self, function, path):
        """The function of `name()` (`path`)."""
        full = [one for one in self.texts if one == path or one.endswith("/" + path)]
        if len(full) != 1:
            return None  # the path has a fault of its own
        stem, suffix = os.path.splitext(full[0])
        twins = [one for one in (stem + ".h", stem + ".cc") if one in self.texts and suffix != ".sql"] or full
        name = function.split("::")[-1]
        if any(re.search(rf"\b{name}\s*\(", self.texts[one]) for one in twins):
            return None
        return f"does not stand in {path}"


def without_comments(text):
    """A comment that names a function that is gone does not bring it back."""
    return re.sub(r"^\s*(?://|--).*$|\s//\s.*$", "", text, flags=re.MULTILINE)


def fault_of(token, tree):
    """What is wrong with what stands between two backticks; None when nothing is, or when it names nothing of the tree."""
    if token in NOT_OURS or "…" in token or re.search(r"(?<![A-Za-z])(?:NAME|NNNN)(?![A-Za-z])", token.replace("_", " ")):
        return None
    called = re.fullmatch(r"((?:\w+::)*)(~?\w+)\(.*\)", token)
    if called and not re.fullmatch(r"[\w.-]+\(\d\)", token):  # postpone(1) is a manual page
        return tree.fault_of_name(called[1].split("::")[:-1], called[2], True)
    if re.fullmatch(r"(?:\w+::)*\w+", token):
        *scopes, name = token.split("::")
        is_code = scopes or re.search(r"[a-z0-9]_[a-z0-9]|^k[A-Z]|^[A-Z][a-z]", name)
        return tree.fault_of_name(scopes, name, False) if is_code else None
    kind = token.split("/")[0]
    if kind in KINDS and re.fullmatch(r"\w+/\w+", token):
        return None if tree.has_tests(*token.split("/")) else "no such tests"
    if re.fullmatch(rf"{FILE}/|{FILE}\.(?:cc|h|sql|py|md|in|toml|txt|json|yml|cmake|svg|picture)", token):
        return tree.fault_of_path(token)
    if re.fullmatch(FILE, token) and kind in tree.directories and "/" in token:
        return None if tree.fault_of_path(token) is None else tree.fault_of_path(token + "/")
    return None


def tokens_of(line, is_code):
    """What is named in a line. A line of a fenced block names tests only."""
    if not is_code:
        return re.findall(r"`([^`]+)`", line)
    # build/dev/tests/unit/subworker_outcome_test is a program, 'unit/subworker_outcome' a part of a test's name.
    return [re.sub(r"_test$", "", name) for name in re.findall(rf"\b(?:{'|'.join(KINDS[:5])})/\w+", line)]


def mistakes_of(page, text, tree):
    is_code = False
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r" *```", line):
            is_code = not is_code
            continue
        for token in tokens_of(line, is_code):
            fault = fault_of(token, tree)
            if fault:
                yield f"{page}:{number}: `{token}`: {fault}"
    function, path = r"`((?:\w+::)*\w+)\([^`]*\)`", r"`([\w./-]+\.(?:cc|h|sql|py))`"
    places = [(found.start(), found[1], found[2]) for found in re.finditer(rf"{function}\s\({path}", text)]
    places += [(found.start(), found[2], found[1]) for found in re.finditer(rf"\| {path} \| {function}", text)]
    for start, name, where in places:
        fault = tree.fault_of_place(name, where)
        if fault:
            yield f"{page}:{text.count(chr(10), 0, start) + 1}: `{name}()`: {fault}"


def main():
    root = pathlib.Path(sys.argv[1])
    tree = Tree(root)
    mistakes, names = [], 0
    for page in PAGES:
        text = (root / page).read_text()
        mistakes += mistakes_of(page, text, tree)
        names += len(re.findall(r"`[^`]+`", text))
    print("\n".join(mistakes + [f"{names} words in backticks in {len(PAGES)} pages"]))
    sys.exit(1 if mistakes or not names else 0)


if __name__ == "__main__":
    main()
