#!/usr/bin/env python3
"""run_page.py PAGE BUILD_DIRECTORY CXX_COMPILER

Does what a document asks its reader to do: every block of PAGE (README.md, docs/*.md, manual/*.in, the README.md of an example), in
the order of the page, with the programs of BUILD_DIRECTORY, beside a server of its own (scripts/with-postgres), since pages make
roles, which belong to the whole server. It fails, with file:line, for each block that goes otherwise than the page says, and for
each that was neither run nor says why not (blocks.py tells what a fence may say).

    sh, console  in one shell for the whole page, in an empty directory. Every command ends with status 0 unless the fence
                 says otherwise, and prints what the page shows, if it shows anything. A question that changes nothing is
                 asked again for a while until it is answered so: people type slower than this program
    sql          through psql
    toml         is what `postpone config check` calls correct, with the directories and executables that it names
    cpp          is compiled, or written into the file that `file=` names, for a later command. Of a fragment, "{ … }" is
                 an empty body, a line "…" is none, and fragments.h declares what the page takes for granted
    cmake        is written into the file that `file=` names, for a later command
    json         can be read
    python       can be compiled; a program of its own also under the name that `file=` gives
    ini          goes into a drop-in of the service's unit, which systemd then has nothing to say about

The page's database has the schema and the roles. Who speaks to it is the role of the page (ROLE_OF_PAGE), or of the fence.
Paths that only a service may write (PRIVATE_PATHS) lie in the sandbox.

README.md is for those who have nothing yet but the tree: its shell begins in a copy of the tree that nothing was built in, with
neither database nor programs, and gets both from what README.md says. Only what it installs goes elsewhere, in the way that
it describes (INSTALL), and of what must be compiled most is taken from BUILD_DIRECTORY (quick.cmake), which saves minutes.
"""
import grp
import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from blocks import FOREIGN, Mistake, alike, blocks_of, blocks_of_manual, commands_of

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HERE = SOURCE / "tests/documents"

# Whom the page speaks to. Applications read sql.md, those who run the database everything else.
ROLE_OF_PAGE = {"sql": "client", "deferring": "client"}
PRIVATE_PATHS = re.compile(r"/(?:etc|run|var/log|srv)/(?:postpone|shop)\b")
QUESTION = re.compile(r"postpone (?:jobs (?:show|list|count)|queues|tasks|locks|workers|status|stack|stalled list|healthcheck)\b"
                      r"|curl .*(?:/readyz|/healthz)")
PATIENCE = 60        # seconds for one command, and for a question to be answered as the page says
LONG = {"scripts/demo": 1500, "cmake ": 300}
INSTALL = ("sudo cmake --install build/release --strip",
           'cmake --install build/release --strip --prefix "$HOME/prefix" && '
           'export PATH="$HOME/prefix/bin:$PATH" CMAKE_PREFIX_PATH="$HOME/prefix"')


class Shell:
    """One bash, for as long as the page: what a command leaves behind (directory, variables, jobs) is there for the next."""

    def __init__(self, directory, environment):
        self.process = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=directory, env=environment, start_new_session=True)
        self.end = f"--{os.urandom(8).hex()}--"
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def run(self, command, patience=PATIENCE):
        """(exit status, what it printed); the status is None when it has not ended in time."""
        self.process.stdin.write(f"{command}\nprintf '\\n%s %d\\n' '{self.end}' $?\n".encode())
        self.process.stdin.flush()
        printed, deadline = b"", time.monotonic() + patience
        while True:
            found = re.search(rb"\n%s (\d+)\n" % self.end.encode(), printed)
            if found:
                return int(found[1]), printed[:found.start()].decode(errors="replace").strip("\n")
            ready = self.selector.select(max(0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not more:
                return None, printed.decode(errors="replace").strip("\n")
            printed += more

    def close(self):
        """With all that runs in it."""
        self.run("kill $(jobs -p) 2> /dev/null; sleep 0.2; kill $(jobs -p) 2> /dev/null; wait", 20)
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()


class Page:
    def __init__(self, path, build, compiler, sandbox):
        self.name = str(path.relative_to(SOURCE)) if path.is_relative_to(SOURCE) else path.name
        self.key = path.stem
        self.blocks = (blocks_of_manual if path.suffix == ".in" else blocks_of)(self.name, path.read_text())
        self.build, self.compiler, self.sandbox = build, compiler, sandbox
        self.fragments = []
        self.mistakes = []
        self.directory = sandbox / "home"
        self.directory.mkdir()
        self.base = {name: value for name, value in os.environ.items()
                     if not name.startswith(("PG", "POSTPONE_", "CTEST_", "GTEST_"))}
        self.base |= {"HOME": str(self.directory), "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        self.is_first_page = path == SOURCE / "README.md"
        if not self.is_first_page:
            self.base["PATH"] = f"{build}/bin:{os.environ['PATH']}"

    def wrong(self, place, words):
        self.mistakes.append(f"{place}: {words}")

    def here(self, text):
        """Paths of a service, in the sandbox."""
        def inside(found):
            directory = self.sandbox / found[0][1:]
            directory.mkdir(parents=True, exist_ok=True)
            return str(directory)
        return PRIVATE_PATHS.sub(inside, text)

    # The database

    def make_database(self):
        words = dict(word.split("=", 1) for word in os.environ["POSTPONE_TEST_SERVER"].split())
        self.server = {"PGHOST": words["host"], "PGPORT": words["port"], "PGUSER": words["user"], "PGDATABASE": "postgres"}
        self.ask("CREATE DATABASE kitchen", self.server)
        self.server["PGDATABASE"] = "kitchen"
        for command in ["apply", "roles"]:
            subprocess.run(["postpone", "schema", command], env=self.as_role("owner"), check=True, stdout=subprocess.DEVNULL)
        roles = self.ask("SELECT rolname FROM pg_roles WHERE rolname ~ '^postpone_' AND NOT rolcanlogin", self.server)
        self.roles = {name.removeprefix("postpone_") for name in roles.split()}
        for role in self.roles:
            self.ask(f"CREATE ROLE a_{role} LOGIN IN ROLE postpone_{role}", self.server)

    def ask(self, statement, database):
        run = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", statement], env=self.base | database,
                             capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"run_page.py: {statement}: {run.stderr}")
        return run.stdout

    def database_of(self, role):
        user = "postgres" if role == "owner" else f"a_{role}"
        database = self.server | {"PGUSER": user}
        url = " ".join(f"{key}={database[name]}" for key, name in
                       [("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER"), ("dbname", "PGDATABASE")])
        return database | {"POSTPONE_DATABASE_URL": url}

    def as_role(self, role):
        return self.base | self.database_of(role)

    def role_of(self, block):
        role = block.attributes.get("as", ROLE_OF_PAGE.get(self.key, "owner"))
        if role != "owner" and role not in self.roles:
            raise Mistake(f"{block.place}: there is no role postpone_{role}")
        return role

    # The blocks

    def needs_server(self):
        return not self.is_first_page and any(block.language in ("sh", "console", "sql") and not block.not_run
                                              for block in self.blocks)

    def run(self):
        if self.is_first_page:
            self.copy_tree()
        elif self.needs_server():
            self.make_database()
        self.shell = Shell(self.directory, self.base)
        try:
            for block in self.blocks:
                try:
                    self.run_block(block)
                except Mistake as mistake:
                    self.mistakes.append(str(mistake))
            self.compile_fragments()
        finally:
            self.shell.close()

    def copy_tree(self):
        """What a clone would hold, changes that are not committed yet included."""
        self.directory = self.sandbox / "postpone"
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=SOURCE,
                                capture_output=True, text=True)
        names = listed.stdout.split("\0") if listed.returncode == 0 else [
            str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*") if "build" not in path.relative_to(SOURCE).parts[:1]]
        for name in names:
            if (SOURCE / name).is_file():
                (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(SOURCE / name, self.directory / name)
        self.base |= {"CXX": self.compiler, "CMAKE_TOOLCHAIN_FILE": str(HERE / "quick.cmake"), "REUSED_BUILD": str(self.build)}

    def run_block(self, block):
        if "same-as" in block.attributes:
            copied = (SOURCE / block.attributes["same-as"]).read_text()
            if block.text.strip() not in copied:
                self.wrong(block.place, f"this is not what stands in {block.attributes['same-as']}")
        elif block.language not in FOREIGN - {"python"} | {"text"} and not block.not_run:
            self.prepare(block)
            getattr(self, f"run_{block.language}")(block)

    def prepare(self, block):
        """In the shell of the page, as the owner, what stands in prepare/NAME; and from then on as the role of the block."""
        if "prepare" in block.attributes:
            script = HERE / "prepare" / block.attributes["prepare"]
            self.become("owner")
            known = {"SOURCE": SOURCE, "BUILD": self.build, "CXX": self.compiler, "ROOT": self.sandbox,
                     "WORKER_URL": self.database_of("worker")["POSTPONE_DATABASE_URL"]}
            self.shell.run("; ".join(f"{name}='{value}'" for name, value in known.items()))
            status, printed = self.shell.run(f"source '{script}'", 300)
            if status != 0:
                raise Mistake(f"{block.place}: prepare/{script.name} ended with {status}:\n{printed}")
        if self.needs_server():
            self.become(self.role_of(block))

    def become(self, role):
        self.shell.run("export " + " ".join(f"{key}='{value}'" for key, value in self.database_of(role).items()))

    def run_sh(self, block):
        commands = commands_of(block)
        for number, (line, command, shown) in enumerate(commands):
            command = self.here(command).replace(*INSTALL)
            due = int(block.attributes.get("exits", 0)) if number == len(commands) - 1 else 0
            if block.attributes.get("endless"):
                self.run_endless(f"{self.name}:{line}", command)
            elif block.attributes.get("shell"):
                self.run_elsewhere(f"{self.name}:{line}", block.attributes["shell"], command)
            elif not self.run_command(f"{self.name}:{line}", command, due, shown):
                break

    run_console = run_sh

    def run_command(self, place, command, due, shown):
        patience = next((seconds for start, seconds in LONG.items() if start in command), PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while True:
            status, printed = self.shell.run(command, patience)
            right = status == due and (shown is None or alike(shown, printed))
            if right or status is None or not QUESTION.search(command) or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if status is None:
            self.wrong(place, f"`{command}` has not ended after {patience} s; it printed:\n{printed}")
        elif status != due:
            self.wrong(place, f"`{command}` ended with status {status} instead of {due}; it printed:\n{printed}")
        elif not right:
            self.wrong(place, f"`{command}` printed:\n{printed}\nand the page shows:\n{shown}")
        return right

    def run_endless(self, place, command):
        """It must say something within two seconds, and go on until it is interrupted."""
        status, printed = self.shell.run(f"timeout --foreground --signal=INT 2 {command}")
        if status != 124 or not printed:
            self.wrong(place, f"`{command}` should go on until it is interrupted; it printed:\n{printed}")

    def run_elsewhere(self, place, shell, command):
        flags = {"zsh": "-fc", "fish": "--no-config -c"}[shell]
        first = "autoload -U compinit && compinit -u; " if shell == "zsh" else ""
        run = subprocess.run([shell, *flags.split(), first + command], env=self.base, cwd=self.directory, text=True,
                             capture_output=True, timeout=PATIENCE)
        if run.returncode != 0 or run.stderr:
            self.wrong(place, f"`{command}` in {shell} ended with {run.returncode}:\n{run.stdout}{run.stderr}")

    def run_sql(self, block):
        run = subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=block.text,
                             env=self.as_role(self.role_of(block)), capture_output=True, text=True, timeout=PATIENCE)
        if run.returncode != 0:
            self.wrong(block.place, f"as {self.role_of(block)}: {run.stderr.strip()}")

    def run_toml(self, block):
        self.keep(block, block.text)
        if self.is_first_page:
            return   # a later command reads it
        text = self.here(block.text)
        if "[[group]]" not in text:
            text += '[[group]]\nname = "kitchen"\nexecutable = "bin/kitchen-tasks"\n'
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.sandbox))
        for executable in re.findall(r'^executable = "(.*)"', text, re.MULTILINE):
            link = directory / executable
            link.parent.mkdir(parents=True, exist_ok=True)
            link.exists() or link.symlink_to(self.build / "tests/documents/kitchen-tasks")
        for path in re.findall(r'^(?:socket|file) = "(/.*)/[^/"]*"', text, re.MULTILINE):
            pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        # The group that a socket belongs to is one of those that this machine has.
        text = text.replace('group = "monitoring"', f'group = "{grp.getgrgid(os.getgid()).gr_name}"')
        file = directory / "kitchen.toml"
        file.write_text(text)
        run = subprocess.run(["postpone", "config", "check", str(file)], env=self.base, capture_output=True, text=True,
                             timeout=PATIENCE)
        if run.returncode != 0:
            self.wrong(block.place, f"postpone config check: {run.stdout}{run.stderr}".strip())

    def keep(self, block, text):
        if "file" in block.attributes:
            self.shell.run(f"cat > '{block.attributes['file']}' <<'{self.shell.end}'\n{text}{self.shell.end}")

    def run_cmake(self, block):
        if "file" not in block.attributes:
            self.wrong(block.place, "file=NAME is missing: which file is this?")
        self.keep(block, block.text)

    def run_cpp(self, block):
        self.keep(block, block.text)
        if "file" in block.attributes:   # a later command builds it
            return
        if "int main(" not in block.text:
            self.fragments.append(block)
        elif "#include" in block.text:
            self.compile(block.place, block.text)
        else:
            self.compile(block.place, f'#include "tests/documents/fragments.h"\n#line {block.line + 1} "{self.name}"\n{block.text}')

    def compile_fragments(self):
        """All of a page in one translation unit, each in a function of its own."""
        text = '#include "tests/documents/fragments.h"\n'
        for number, block in enumerate(self.fragments):
            body = re.sub(r"^ *…$", "", block.text.replace("{ … }", "{ }"), flags=re.MULTILINE)
            if body.startswith("."):
                body = f'app.task("a", [](libtask::Context&) {{ }}) {body};'
            text += f'void fragment_{number}(libtask::App& app, libtask::Context& job) {{\n#line {block.line + 1} "{self.name}"\n{body}\n}}\n'
        if self.fragments:
            self.compile(self.name, text)

    def compile(self, place, text):
        run = subprocess.run([self.compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", f"-I{SOURCE}/libtask/include",
                              f"-I{SOURCE}", "-x", "c++", "-"], input=text, capture_output=True, text=True, timeout=300)
        if run.returncode != 0:
            self.wrong(place, f"does not compile:\n{run.stderr}")

    def run_json(self, block):
        try:
            json.loads(block.text)
        except ValueError as error:
            self.wrong(block.place, f"no JSON: {error}")

    def run_python(self, block):
        self.keep(block, block.text)
        try:
            compile(block.text, block.place, "exec")
        except SyntaxError as error:
            self.wrong(block.place, f"no Python: {error}")

    def run_ini(self, block):
        """As the drop-in of the service's unit."""
        unit = self.sandbox / "postpone@.service"
        text = (self.build / "packaging/postpone@.service").read_text()
        unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={self.build}/bin/postpone-supervisor", text, flags=re.MULTILINE))
        drop_in = self.sandbox / "postpone@.service.d"
        drop_in.mkdir(exist_ok=True)
        (drop_in / "tasks.conf").write_text(block.text)
        run = subprocess.run(["systemd-analyze", "verify", "--man=no", str(self.sandbox / "postpone@kitchen.service")],
                             capture_output=True, text=True)
        said = "\n".join(line for line in (run.stdout + run.stderr).split("\n") if "postpone" in line)
        if said:
            self.wrong(block.place, f"systemd: {said}")


def main():
    beside_own_server = sys.argv[-1] == "beside-own-server"
    if len(sys.argv) != 4 + beside_own_server:
        sys.exit(__doc__)
    sandbox = pathlib.Path(tempfile.mkdtemp(prefix="postpone-page."))
    try:
        page = Page(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3], sandbox)
        if page.needs_server() and not beside_own_server:
            sys.exit(subprocess.call([SOURCE / "scripts/with-postgres", "--fast", sys.executable, "-B", *sys.argv,
                                      "beside-own-server"]))
        page.run()
    except Mistake as mistake:
        sys.exit(str(mistake))
    finally:
        shutil.rmtree(sandbox, ignore_errors=True)
    for mistake in page.mistakes:
        print(mistake, file=sys.stderr)
    print(f"{page.name}: {len(page.blocks)} blocks, {len([b for b in page.blocks if b.not_run])} say why they are not run")
    sys.exit(1 if page.mistakes else 0)


if __name__ == "__main__":
    main()
