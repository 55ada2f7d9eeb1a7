#!/usr/bin/env python3
"""run_language.py PAGE LANGUAGE BUILD_DIRECTORY

Runs the programs in LANGUAGE that PAGE shows, in the order of the page, as the role of the page, beside a server of its own, and
fails when one of them fails or defers no job. Where the machine lacks what they need (NEEDS), it says so and ends with 77,
which ctest takes for a skipped test.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

from blocks import FOREIGN
from run_page import PATIENCE, SOURCE, Page

SKIPPED = 77
# Debian's place for JDBC drivers, for packages of Node and for packages of Go.
JDBC = "/usr/share/java/postgresql.jar"
PLACES = {"NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs"), "GOPATH": "/usr/share/gocode", "GO111MODULE": "off",
          "GOFLAGS": "", "CLASSPATH": f"{JDBC}:."}

# By language: the file's name, the commands that run it, and what must be there: (a command that succeeds then, its name).
PYTHON = "/usr/bin/python3"   # Debian's own, which has its packages
NEEDS = {
    "go": ("deferring.go", [["go", "run", "deferring.go"]],
           [(["go", "version"], "golang-go"), (["test", "-d", "/usr/share/gocode/src/github.com/lib/pq"], "golang-github-lib-pq-dev")]),
    "java": ("Deferring.java", [["javac", "Deferring.java"], ["java", "Deferring"]],
             [(["javac", "-version"], "default-jdk-headless"), (["test", "-f", JDBC], "libpostgresql-jdbc-java")]),
    "js": ("deferring.js", [["node", "deferring.js"]],
           [(["node", "-e", ""], "nodejs"), (["node", "-e", "require('pg')"], "node-pg, or npm's pg in NODE_PATH")]),
    "php": ("deferring.php", [["php", "deferring.php"]],
            [(["php", "-v"], "php-cli"), (["php", "-r", "exit(extension_loaded('pgsql') ? 0 : 1);"], "php-pgsql")]),
    "python": ("deferring.py", [[PYTHON, "-B", "deferring.py"]], [([PYTHON, "-c", "import psycopg"], "python3-psycopg")]),
}
assert NEEDS.keys() == FOREIGN


def runs(command, environment):
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE).returncode == 0
    except OSError:
        return False


def forward(source, target):
    while piece := source.recv(65536):
        target.sendall(piece)
    target.shutdown(socket.SHUT_WR)


def tcp_port_of(socket_path):
    """A port of this machine that leads to the server's Unix socket: Java's driver knows only ports."""
    listener = socket.create_server(("localhost", 0))

    def serve():
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(socket_path)
            for pair in [(client, server), (server, client)]:
                threading.Thread(target=forward, args=pair, daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def main():
    beside_own_server = sys.argv[-1] == "beside-own-server"
    if len(sys.argv) != 4 + beside_own_server or sys.argv[2] not in NEEDS:
        sys.exit(__doc__)
    language = sys.argv[2]
    file, commands, needs = NEEDS[language]
    for command, package in needs:
        if not runs(command, os.environ | PLACES):
            print(f"skipped: {language} needs {package}, which is not installed")
            sys.exit(SKIPPED)
    if not beside_own_server:
        sys.exit(subprocess.call([SOURCE / "scripts/with-postgres", "--fast", sys.executable, "-B", *sys.argv, "beside-own-server"]))
    sandbox = pathlib.Path(tempfile.mkdtemp(prefix="postpone-page."))
    try:
        page = Page(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[3]).resolve(), "", sandbox)
        page.make_database()
        port = tcp_port_of("{PGHOST}/.s.PGSQL.{PGPORT}".format(**page.server))
        blocks = [block for block in page.blocks if block.language == language]
        assert blocks, f"{page.name} has nothing in {language}"
        for block in blocks:
            before = int(page.ask("SELECT count(*) FROM procrastinate_jobs", page.server))
            (page.directory / file).write_text(block.text)
            role = page.as_role(page.role_of(block))
            url = f"jdbc:postgresql://localhost:{port}/{role['PGDATABASE']}?user={role['PGUSER']}&sslmode=disable"
            for command in commands:
                run = subprocess.run(command, cwd=page.directory, env=role | PLACES | {"JDBC_URL": url}, text=True,
                                     capture_output=True, timeout=5 * PATIENCE)
                if run.returncode != 0:
                    sys.exit(f"{block.place}: {' '.join(command)} ended with {run.returncode}:\n{run.stdout}{run.stderr}")
            if int(page.ask("SELECT count(*) FROM procrastinate_jobs", page.server)) <= before:
                sys.exit(f"{block.place}: no job was deferred")
        print(f"{page.name}: {len(blocks)} in {language}")
    finally:
        shutil.rmtree(sandbox, ignore_errors=True)


if __name__ == "__main__":
    main()
