"""Every command in the documents that a reader would copy is run as it stands, in a place as described."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.commands_place import HOSTS
from tests.images import qcow2

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = (
    *(
        "make",
        "curl",
        "python",
        "fetcher",
        "git",
        "mv",
        "cp",
        "cd",
        "adduser",
        "apt-get",
        "install",
        "ln",
        "man",
    ),
    *(
        "qemu-system-x86_64",
        "systemctl",
        "sqlite-utils",
        "glance",
        "openstack",
        "docker",
        "eval",
        "pip",
        "sh",
    ),
)
COMMAND = re.compile(rf"(\S*/)?({'|'.join(PROGRAMS)})( |$)")

# Where a command is run: SERVED beside a service, ALONE without one, ON_PATH with `fetcher` in the PATH.
SERVED, ALONE, ON_PATH, ON_PATH_SERVED, PARSED = "served", "alone", "path", "path-served", "parsed"
RUN = "{} is what `make fresh-machine` runs"
HOST = "changes the machine; `make fresh-machine` runs it in one of its own (scripts/operator_machine.py)"
CLIENTS = "OpenStack's clients are no part of this project; `make conformance` runs them"
BENCH = "takes minutes; tests/test_machine.py runs its parts"
TUTORIAL = "tests/test_tutorial.py runs the whole page, in its order"
TERMINAL = "a terminal of its own, until it is left; `fetcher verify-boot` boots the same image"
RESTORE = "`make fresh-machine` restores so; tests/cli/test_store.py in a folder of its own"

LINK = "each link has a signature of its own; tests/api/test_links.py takes one"

# Every line that is a command begins with one of these; a new one gets a row. What is not run says why.
PLACES: dict[str, str] = {
    "make run": RUN,
    "make test": RUN,
    "make setup": RUN,
    "make bench": BENCH,
    ".venv/bin/python -m bench": BENCH,
    "curl ": SERVED,
    "curl -o disk.qcow2 'https://fetcher.example.org/images/ID/file?expires": LINK,
    ".venv/bin/fetcher submit": SERVED,
    ".venv/bin/fetcher submit https://download.cirros-cloud.net/": TUTORIAL,
    ".venv/bin/fetcher probe": TUTORIAL,
    ".venv/bin/fetcher images": TUTORIAL,
    ".venv/bin/fetcher verify-boot": TUTORIAL,
    "qemu-system-x86_64": TERMINAL,
    ".venv/bin/fetcher pull": ALONE,
    ".venv/bin/fetcher inspect": ALONE,
    ".venv/bin/python server.py --config FILE --check-config": ALONE,
    ".venv/bin/python server.py --config FILE --listen": "serves until stopped; tests/test_server.py",
    ".venv/bin/python server.py --make-token": ALONE,
    "fetcher submit": ON_PATH_SERVED,
    "fetcher submit s3://": PARSED,
    "fetcher submit oci://": PARSED,
    "fetcher pull": ON_PATH,
    "fetcher inspect": ON_PATH,
    "fetcher token": ON_PATH,
    "fetcher doctor": PARSED,
    "fetcher keys": PARSED,
    "fetcher catalogue": PARSED,
    "fetcher schedules": PARSED,
    "fetcher submit ubuntu": PARSED,
    "fetcher audit": PARSED,
    "fetcher images": PARSED,
    "fetcher verify": PARSED,
    "fetcher metadefs load": PARSED,
    "fetcher link": PARSED,
    "fetcher migrate": PARSED,
    "fetcher push": PARSED,
    "fetcher exports": PARSED,
    "fetcher adopt": PARSED,
    "fetcher config check --config /etc": PARSED,
    "fetcher config": ON_PATH,
    "fetcher store check": ON_PATH,
    "fetcher store repair": ON_PATH,
    "fetcher store gc": ON_PATH,
    "fetcher store backup": ON_PATH_SERVED,
    'eval "$(fetcher completion bash)"': ON_PATH,
    "fetcher completion fish | source": "fish alone has this `source`; tests/cli/test_completion.py",
    "man -l docs/fetcher.1": ON_PATH,
    "/opt/glance-fetcher/.venv/bin/sqlite-utils query": PARSED,
    "glance ": CLIENTS,
    "openstack ": CLIENTS,
    "adduser": HOST,
    "apt-get": HOST,
    "install -": HOST,
    "cp deploy/": HOST,
    "ln -s": HOST,
    "systemctl": HOST,
    "git clone . /opt": HOST,
    "cd /opt/glance-fetcher &&": HOST,
    "mv data data.broken": RESTORE,
    "cp -a --sparse=always": RESTORE,
}
# What ends in another exit code than 0 by what it says: an empty store has nothing to check.
ENDS = {"fetcher store": {0, 6, 10, 11}}


def commands_of(text: str) -> Iterator[str]:
    """Find the commands of a page: lines of shell blocks and of indented blocks that begin with a program."""
    blocks = re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"(?:^\n|\A)((?:^    .*\n)+)", plain, re.MULTILINE)
    for block in blocks:
        lines = re.sub(r"\\\n\s*", "", block).splitlines()
        joined: list[str] = []
        for line in lines:
            if joined and joined[-1].count("'") % 2:  # A quoted document over several lines.
                joined[-1] += "\n" + line
            else:
                joined.append(line.strip())
        for line in joined:
            if COMMAND.match(line):
                yield re.sub(r"\s+# .*$", "", line)


def place_of(command: str) -> str | None:
    """Return the longest row that a command begins with."""
    rows = [row for row in PLACES if command.startswith(row)]
    return PLACES[max(rows, key=len)] if rows else None


ALL = [(page.name, command) for page in PAGES for command in dict.fromkeys(commands_of(page.read_text()))]


def in_place(*places: str) -> list[str]:
    return list(dict.fromkeys(command for _, command in ALL if place_of(command) in places))


def test_every_command_has_a_place() -> None:
    """A new command in a document is run somewhere, or says why it is not."""
    assert len(ALL) > 30
    assert [(page, command) for page, command in ALL if place_of(command) is None] == []


def test_every_row_is_used() -> None:
    """A row whose command has left the documents leaves too."""
    used = {max((row for row in PLACES if command.startswith(row)), key=len) for _, command in ALL}
    assert set(PLACES) - used == set()


def test_no_command_assumes_a_path_that_a_checkout_does_not_have() -> None:
    """In README nothing but what Debian has is taken from the PATH."""
    bare = re.compile(r"(python|pip|fetcher|pytest) ")
    assert [command for page, command in ALL if page == "README.md" and bare.match(command)] == []


def test_make_targets_exist() -> None:
    """Each `make` that a document names, in a block or in a sentence, is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text()
        named = set(re.findall(r"(?:`|^ {4}|^)make ([a-z][a-z-]*)", text, re.MULTILINE))
        assert named <= targets, page.name


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make a folder that looks like the checkout; its operator's file lets example.org be loopback."""
    for name in (".venv", "server.py", "fetcher", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "config.toml", tmp_path)
    (tmp_path / ".venv").unlink()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    authority = trustme.CA()
    issued = authority.issue_cert(*HOSTS)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    (tmp_path / "disk.qcow2").write_bytes(qcow2())
    (tmp_path / "backups").mkdir()
    (tmp_path / "own.toml").write_text(
        '[address]\nallow = [{ cidr = "127.0.0.1/32", ports = [443] }]\n'
        f'[tls]\nca_file = "{tmp_path}/ca.pem"\n[store]\nreserve_percent = 0.0\nreserve_bytes = 0\n'
        "[server]\nshutdown_seconds = 0.2\n"
    )
    return tmp_path


def run_in(
    place: Path, commands: list[str], *, serves: bool, on_path: bool, image: str = "disk"
) -> list[str]:
    """Run commands in namespaces of their own; each must end well.

    Args:
        image: The name of the image whose id stands for ID.

    Returns:
        What each command said.
    """
    spaces = ["unshare", "--net", "--mount"] if os.geteuid() == 0 else ["unshare", "-r", "--net", "--mount"]
    if subprocess.run([*spaces, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no network of its own for this user: sysctl kernel.unprivileged_userns_clone=1")
    job = {"place": str(place), "commands": commands, "serves": serves, "on_path": on_path, "image": image}
    done = subprocess.run(
        [*spaces, sys.executable, str(ROOT / "tests/commands_place.py")],
        input=json.dumps(job), capture_output=True, text=True, check=False, cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    for command, end in zip(commands, ends, strict=True):
        expected = next((codes for row, codes in ENDS.items() if command.startswith(row)), {0})
        assert end["code"] in expected, f"{command}: {end}"
        assert "Traceback" not in end["said"], f"{command}: {end}"
        if command.startswith("curl"):
            assert not re.search(r"HTTP/1\S+ [45]|\"status\": ?[45]\d\d", end["said"]), f"{command}: {end}"
    return [end["said"] for end in ends]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("where", "serves", "on_path"),
    [(SERVED, True, False), (ALONE, False, False), (ON_PATH, False, True), (ON_PATH_SERVED, True, True)],
    ids=["served", "alone", "path", "path-served"],
)
def test_commands_do_what_the_page_says(place: Path, where: str, serves: bool, on_path: bool) -> None:
    """A reader who copies a command gets no error that the page does not speak of."""
    commands = in_place(where)
    assert len(run_in(place, commands, serves=serves, on_path=on_path)) == len(commands) > 0


def test_commands_of_a_host_are_spelt_right() -> None:
    """What needs the operator's own paths is at least a command with such parameters."""
    commands = in_place(PARSED)
    assert commands
    for command in commands:
        words = command.removeprefix("/opt/glance-fetcher/").split()
        program = str(Path(sys.prefix) / "bin" / Path(words[0]).name)
        verbs = [word for word in words[1:3] if re.fullmatch("[a-z]+", word)]
        done = subprocess.run([program, *verbs, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, command
        for option in re.findall(r"--[a-z-]+", command):
            assert option in done.stdout, command
