"""The blocks of a document: what a reader may type, and what the document says about each block.

In Markdown these are the fenced ones.

A fence's first word is the block's language. Behind it may stand words of the form key=value, and at the end of the line
`not-run: REASON`, for a block that no test can run:

    ```sh                                   ```sh not-run: needs a booted systemd
    ```console exits=2                      ```sql as=owner

    text      a picture, a synopsis, or output that stands alone: nothing to type
    console   a transcript: lines that begin with "$ " are typed, the others are what the commands print
    others    see run_page.py; other programming languages: run_language.py

In the source of a manual page they stand between .EX and .EE, and are TOML or commands.
"""
import dataclasses
import re
import subprocess

# Run by run_language.py, a test for each, since a machine may lack what one of them needs.
FOREIGN = {"go", "java", "js", "php", "python"}
LANGUAGES = {"text", "console", "sh", "sql", "toml", "cpp", "cmake", "json", "ini"} | FOREIGN
KEYS = {
    "as",       # the role in the database: owner, worker, client, monitor, operator
    "exits",    # the exit status of the block's last command, where it is not 0
    "file",     # the block's text is written into this file, as the text says
    "prepare",  # prepare/NAME is run first: what the text takes for granted
    "same-as",  # the block is a copy of this file of the tree
    "shell",    # zsh or fish instead of bash
    "endless",  # yes: each command goes on until it is interrupted
}


class Mistake(Exception):
    """One line for a person: file:line: what is wrong."""


@dataclasses.dataclass
class Block:
    document: str
    line: int
    language: str
    attributes: dict
    not_run: str
    text: str

    @property
    def place(self):
        return f"{self.document}:{self.line}"


def read_fence(info, place):
    """(language, attributes, reason why it is not run) of what stands behind the three backticks."""
    words, colon, reason = info.partition("not-run:")
    words, reason = words.split(), reason.strip()
    if not words:
        raise Mistake(f"{place}: this block has no language; output and pictures are ```text")
    language, attributes = words[0], {}
    if language not in LANGUAGES:
        raise Mistake(f"{place}: no test knows what to do with ```{language}; known are {', '.join(sorted(LANGUAGES))}")
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if key not in KEYS or not equals or not value:
            raise Mistake(f"{place}: {word} means nothing in a fence; known are {', '.join(sorted(KEYS))} "
                          "(each key=value), and not-run: REASON at the end")
        attributes[key] = value
    if colon and not reason:
        raise Mistake(f"{place}: not-run: without a reason")
    return language, attributes, reason


def blocks_of(document, text):
    """The blocks in the order of the page. Raises Mistake for a fence that says nothing, or never ends."""
    blocks, body, opened = [], None, None
    for number, line in enumerate(text.split("\n"), 1):
        fence = re.match(r" {0,3}(`{3,})([^`]*)$", line)
        if body is None and fence:
            opened, body = (number, len(fence[1]), *read_fence(fence[2].strip(), f"{document}:{number}")), []
        elif body is not None and fence and len(fence[1]) >= opened[1] and not fence[2].strip():
            blocks.append(Block(document, opened[0], *opened[2:], "\n".join(body) + "\n"))
            if blocks[-1].language == "text" and any(typed.startswith("$ ") for typed in body):
                raise Mistake(f"{blocks[-1].place}: ```text is not typed, and this begins with \"$ \"; transcripts are ```console")
            body = None
        elif body is not None:
            body.append(line)
    if body is not None:
        raise Mistake(f"{document}:{opened[0]}: this block never ends")
    return blocks


def blocks_of_manual(document, text):
    """The examples of a manual page."""
    blocks = []
    for example in re.finditer(r"^\.EX\n(.*?)^\.EE$", text, re.MULTILINE | re.DOTALL):
        plain = re.sub(r"\\\(aq", "'", example[1]).replace("\\-", "-").replace("\\(dq", '"').replace("\\e", "\\")
        language = "toml" if plain.startswith("[") else "sh"
        blocks.append(Block(document, text.count("\n", 0, example.start()) + 1, language, {}, "", plain))
    return blocks


def is_whole(command):
    """Whether bash would run this, or wait for another line of it."""
    if command.endswith("\\"):
        return False
    here = re.search(r"<<-?\s*(['\"]?)(\w+)\1", command)
    if here and here[2] not in (line.strip() for line in command.split("\n")[1:]):
        return False
    check = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True)
    return "unexpected end of file" not in check.stderr and "looking for matching" not in check.stderr


def commands_of(block):
    """[(line number, command, what it prints or None)] of a console or shell block. None: the document does not show it."""
    lines = block.text.rstrip("\n").split("\n")
    transcript = block.language == "console"
    commands, number = [], 0
    while number < len(lines):
        first, command = number, lines[number]
        number += 1
        if transcript and not command.startswith("$ "):
            raise Mistake(f"{block.document}:{block.line + number}: this transcript does not begin with a command, \"$ …\"")
        if transcript:
            command = command[2:]
        elif not command.strip() or command.lstrip().startswith("#"):
            continue
        while not is_whole(command) and number < len(lines):
            command += "\n" + lines[number]
            number += 1
        shown = []
        while transcript and number < len(lines) and not lines[number].startswith("$ "):
            shown.append(lines[number])
            number += 1
        commands.append((block.line + first + 1, command, "\n".join(shown).rstrip() or None))
    return commands


# What differs from run to run, and from machine to machine, and what stands in its place: a time, a quantity with its unit,
# an address in a program, a process, which sub-worker of the group it was, the server's version, an id that stands alone. Nothing
# else that a document shows may differ.
DURATION = r"\d+(?:\.\d+)? (?:ms|s|min|h)\b(?: \d+ (?:min|s)\b)?"
SIZE = r"\d+(?:\.\d+)? (?:B|KiB|MiB|GiB)\b"
TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?"
VARIES = [
    (TIME, TIME),
    (r"(?<![\d.])" + DURATION, DURATION),
    (r"(?<![\d.])" + SIZE, SIZE),
    (r"\+0x[0-9a-f]+", r"\+0x[0-9a-f]+"),
    (r"(?<=process )\d+", r"\d+"),
    (r"(?<=kitchen/)\d+", r"\d+"),
    (r"(?<=PostgreSQL )\d+(?:\.\d+)?", r"\d+(?:\.\d+)?(?: \([^)]*\))?"),
    (r"^\d+$", r"\d+"),
    (r"…", r".*"),
    (r"\s+", r"\s+"),
]
VARIABLE = re.compile("|".join(f"({shown})" for shown, _ in VARIES))


def pattern_of(line):
    pattern, end = "", 0
    for found in VARIABLE.finditer(line):
        pattern += re.escape(line[end:found.start()]) + VARIES[found.lastindex - 1][1]
        end = found.end()
    return pattern + re.escape(line[end:])


def alike(shown, printed):
    """Whether a program printed what the document shows. A line that is "…" stands for any number of lines."""
    pattern = ""
    for line in shown.rstrip().split("\n"):
        pattern += r"(?:.*\n)*?" if line.strip() == "…" else pattern_of(line.rstrip()) + r"\s*\n"
    return re.fullmatch(pattern, printed.rstrip() + "\n") is not None
