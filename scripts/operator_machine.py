"""Do what docs/operator.md says, word by word, as root of a bare Debian; for `make fresh-machine`.

Usage: operator_machine.py install    the commands under "Install"; needs the package registries
       operator_machine.py operate    all after it, in a network without a way out: configure, start, import
                                      as a client, tune, watch, back up, lose the store, restore, upgrade

Standard library only: a fresh machine has nothing else. `systemctl` is scripts/systemctl_standin.py, since
systemd does not run in a folder. Only what the text marks as the reader's own (FILE, FOLDER, the token, the
origin of an image) is put in.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from newcomer import Origin, image

HERE = Path(__file__).resolve().parent.parent
CONFIG = Path("/etc/glance-fetcher/config.toml")
FOLDER = Path("/var/lib/glance-fetcher/data")
BASE = "http://127.0.0.1:9292"
MAX_SECONDS = 120


def blocks(page: str, language: str, heading: str) -> list[str]:
    """Return the blocks of a language under a heading, as they stand."""
    text = (HERE / "docs" / page).read_text()
    part = re.split(rf"^## {heading}\n", text, flags=re.MULTILINE)[1]
    part = re.split(r"^## ", part, flags=re.MULTILINE)[0]
    fenced = re.findall(rf"^```{language}\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    return fenced or re.findall(r"(?:^\n)((?:^    .*\n)+)", part, re.MULTILINE)


def sh(words: str, cwd: Path = HERE) -> str:
    """Run shell words that must succeed; what they print."""
    print(f"# {words.strip()}", flush=True)
    done = subprocess.run(
        ["sh", "-euc", f"exec 2>&1; {words}"],
        cwd=cwd,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    print(done.stdout, flush=True)
    if done.returncode != 0:
        raise SystemExit(f"docs/operator.md: {words.strip()}: exit code {done.returncode}")
    return done.stdout


def commands(block: str) -> list[str]:
    """Return the commands of a block, with continued lines joined."""
    return [line for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]


def install() -> None:
    """Run the block "Install"; the checkout is a clone like anybody's."""
    repository = (
        "git init -q . && git add -A && git -c user.name=n -c user.email=n@example.org commit -qm checkout"
    )
    shutil.copy(HERE / "scripts/systemctl_standin.py", "/usr/local/bin/systemctl")
    Path("/etc/systemd/system").mkdir(parents=True, exist_ok=True)
    place = HERE
    for command in commands(blocks("operator.md", "sh", "Install")[0]):
        if command.startswith("git clone"):
            sh(repository)
        sh(command, place)
        if " cd " in f" {command}":
            place = Path(command.split("cd ")[1].split("#")[0].strip())


def call(path: str, token: str = "", fields: dict[str, Any] | None = None) -> bytes:
    """Ask as a client behind the proxy that operator.md has in front; the answer's body."""
    headers = {
        "Host": "images.example.org",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
    }
    body = None if fields is None else json.dumps(fields).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, body, headers), timeout=60) as answer:
        return bytes(answer.read())


def do_import(token: str, url: str) -> str:
    """Import a URL; the image that it became."""
    found = json.loads(call("/imports", token, {"url": url, "disk_format": "qcow2"}))
    until = time.monotonic() + MAX_SECONDS
    while found["ended_at"] is None:
        assert time.monotonic() < until, found
        time.sleep(0.1)
        found = json.loads(call(f"/imports/{found['id']}", token))
    if found["verdict"]["code"] != "ok":
        raise SystemExit(f"the import ended as {found['verdict']}")
    return str(found["image_id"])


def expect_image(token: str, image_id: str) -> None:
    """Download an image, as its user would."""
    if call(f"/v2/images/{image_id}/file", token) != image():
        raise SystemExit(f"the image {image_id} does not hold the bytes of its source")


def configure(port: int) -> str:
    """Make a token and write the configuration, as the text has them; the token."""
    said = sh(commands(blocks("operator.md", "sh", "Install")[1])[0])
    digest = re.search(r'sha256 = "([0-9a-f]{64})"', said)
    assert digest, said
    sample = blocks("operator.md", "toml", "Install")[0].replace('sha256 = "..."', digest.group(0))
    CONFIG.write_text(f'{sample}[address]\nallow = [{{ cidr = "127.0.0.1/32", ports = [{port}] }}]\n')
    return max(re.findall(r"[A-Za-z0-9_-]{24,}", said.replace(digest.group(1), "")), key=len)


def tune(token: str) -> None:
    """Change a limit; clients see it without a restart."""
    for command in commands(blocks("operator.md", "sh", "Tune")[0]):
        sh(command.replace("FILE", str(CONFIG)))
    until = time.monotonic() + MAX_SECONDS
    while str(40 * 2**30).encode() not in call("/limits", token):
        assert time.monotonic() < until, "a reload changes nothing"
        time.sleep(0.1)


def restore(token: str, url: str) -> None:
    """Back up, lose the store, put the backup back."""
    Path("/backups").mkdir()
    (backup,) = commands(blocks("operator.md", "sh", "Back up, move, restore")[0])
    sh(backup.replace("FILE", str(CONFIG)))
    lost = do_import(token, url)
    sh("systemctl stop glance-fetcher")
    for command in commands(blocks("operator-store.md", "sh", "Restore")[0])[:2]:
        sh(command.split("#")[0].strip(), FOLDER.parent)
    sh(f"chown -R glance-fetcher: {FOLDER}")
    sh(f"fetcher store check --config {CONFIG}")
    sh("systemctl start glance-fetcher")
    if lost in call("/v2/images", token).decode():
        raise SystemExit("the restored store knows an image that is younger than the backup")


def upgrade() -> None:
    """Upgrade to what is there: nothing is new, and there is no registry here."""
    first, *rest = commands(blocks("operator.md", "sh", "Upgrade")[0])
    sh(first.replace("&& make setup", "").strip())
    for command in rest:
        sh(command)


def operate() -> None:
    """Do everything after the installation."""
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{origin.server_port}/disk.qcow2"
    token = configure(origin.server_port)
    for command in commands(blocks("operator.md", "sh", "Install")[1])[1:]:
        sh(command)
    kept = do_import(token, url)
    expect_image(token, kept)
    tune(token)
    if url not in sh(blocks("operator.md", "sh", "Watch")[0]):
        raise SystemExit("the audit trail does not name the import")
    restore(token, url)
    expect_image(token, kept)
    upgrade()
    expect_image(token, kept)
    sh("systemctl stop glance-fetcher")
    print("docs/operator.md holds word by word")


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    {"install": install, "operate": operate}[sys.argv[1]]()
