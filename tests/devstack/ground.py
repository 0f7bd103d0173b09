"""A machine for DevStack's functions: its files, a repository of this tree, stand-ins for what needs root."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.images import qcow2

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DEVSTACK = Path(os.environ.get("DEVSTACK_FILES", ROOT.parent / "shared" / "devstack"))
PEERS = Path(os.environ.get("PEERS_CLIENTS", ROOT.parent / "shared" / "peers" / "clients"))
PEER_VENVS = Path(os.environ.get("PEERS", "/opt/peers"))
PASSWORD = "glancepw"  # what the peers' Keystone has for the account


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


def documented_rules() -> str:
    """Return the part of the documented local.conf that changes the service's configuration."""
    page = (ROOT / "docs" / "devstack.md").read_text()
    return "[[post-config|" + page.partition("[[post-config|")[2].partition("```")[0]


def lacking_devstack() -> str:
    """Say what is not at hand for running DevStack's functions; empty: nothing."""
    if not (DEVSTACK / "stack.sh").exists():
        return f"DevStack's files are not in {DEVSTACK}: DEVSTACK_FILES names another folder"
    lacking = [name for name in ("git", "curl", "gawk", "ip") if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def lacking_keystone() -> str:
    """Say what is not at hand for a real Keystone; empty: nothing."""
    if not os.environ.get("DEVSTACK_KEYSTONE"):
        return "takes ten minutes; set DEVSTACK_KEYSTONE=1 to run it"
    if not (PEERS / "keystone_up.sh").exists():
        return f"no scripts that start Keystone in {PEERS}"
    for program in ("keystone/bin/keystone-manage", "clients/bin/openstack"):
        if not (PEER_VENVS / program).exists():
            return f"{PEER_VENVS / program} is not installed"
    return "" if os.geteuid() == 0 else "only root can start the peers' database"


@contextmanager
def keystone(state: Path, old_endpoint: str) -> Iterator[str]:
    """Run a real Keystone in whose catalogue the image service is somewhere else; its address."""
    port, database = free_ports(2)
    env = {
        **os.environ,
        "STATE": str(state),
        "PEERS": str(PEER_VENVS),
        "KS_PORT": str(port),
        "PG_PORT": str(database),
    }
    try:
        up = ["bash", str(PEERS / "keystone_up.sh"), old_endpoint]
        done = subprocess.run(up, env=env, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        yield f"http://127.0.0.1:{port}/v3"
    finally:
        subprocess.run(["bash", str(PEERS / "down.sh")], env=env, check=False, timeout=100)


class Ground:
    """One machine on which DevStack's phases run."""

    old_endpoint = "http://127.0.0.1:1/image"

    def __init__(self, folder: Path, keystone_uri: str = "", *, extra: str = "") -> None:
        """Lay out the folders; without a Keystone a stand-in notes what its client is asked."""
        self.folder, self.home, self.top = folder, folder / "home", folder / "devstack"
        self.keystone_uri = keystone_uri
        self.home.mkdir()
        (self.home / "tmp").mkdir()
        shutil.copytree(DEVSTACK, self.top)
        subprocess.run(["chmod", "-R", "u+w", self.top], check=True)
        self.port, inner = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        (self.top / "disk.qcow2").write_bytes(qcow2())
        self._repository(folder / "glance-fetcher.git")
        self._stand_ins()
        (self.top / "localrc").write_text(self._localrc(inner))
        (self.top / "local.conf").write_text(
            documented_rules() + "[store]\nreserve_bytes = 0\nreserve_percent = 0.0\n" + extra
        )
        self._clouds()

    def _repository(self, where: Path) -> None:
        """Make what enable_plugin clones: the tree as it is now, committed or not."""
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
        for name in filter(None, names):
            source, target = ROOT / name.decode(), where / name.decode()
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        git = ["git", "-C", str(where), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "tree"]):
            subprocess.run([*git, *command], check=True)

    def _stand_ins(self) -> None:
        """Put the stand-ins where the PATH finds them; the real client where there is a real Keystone."""
        bin_folder = self.folder / "bin"
        shutil.copytree(HERE / "bin", bin_folder)
        if self.keystone_uri:
            (bin_folder / "openstack").unlink()
            (bin_folder / "openstack").symlink_to(PEER_VENVS / "clients/bin/openstack")

    def _localrc(self, inner: int) -> str:
        """What an operator's local.conf says, and where this machine differs from a whole one."""
        conf = self.folder / "etc"
        conf.mkdir()
        return (
            f"DEST={self.folder}/opt\nDATA_DIR=$DEST/data\nSTACK_USER=$(id -un)\nUSER_UNITS=True\n"
            f"HOST_IP=127.0.0.1\nSERVICE_HOST=127.0.0.1\nSERVICE_LISTEN_ADDRESS=127.0.0.1\n"
            "ENABLED_SERVICES=key,g-api,mysql,tempest\nGLOBAL_VENV=False\nLOG_COLOR=False\n"
            f"SERVICE_PASSWORD={PASSWORD}\nADMIN_PASSWORD=adminpw\nDATABASE_PASSWORD=x\nRABBIT_PASSWORD=x\n"
            f"GLANCE_SERVICE_PORT={self.port}\nGLANCE_SERVICE_PORT_INT={inner}\n"
            f"GLANCE_CONF_DIR={conf}/glance\nFETCHER_CONF_DIR={conf}/glance-fetcher\n"
            f"IMAGE_URLS=file://{self.top}/disk.qcow2\nDOWNLOAD_DEFAULT_IMAGES=False\n"
            f"enable_plugin glance-fetcher file://{self.folder}/glance-fetcher.git main\n"
        )

    def _clouds(self) -> None:
        """Write what DevStack's own write_clouds_yaml would, for its two admins."""
        auth = f'auth_url: "{self.keystone_uri}", username: admin, password: adminpw, user_domain_id: default'
        known = self.home / ".config" / "openstack"
        known.mkdir(parents=True)
        (known / "clouds.yaml").write_text(
            "clouds:\n"
            f"  devstack-system-admin: {{region_name: RegionOne, auth: {{{auth}, system_scope: all}}}}\n"
            f"  devstack-admin: {{region_name: RegionOne, auth: {{{auth}, project_name: admin, "
            "project_domain_id: default}}\n"
        )

    def _env(self) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PIP_CONFIG_FILE", "PIP_INDEX_URL", "LANG")
            if name in os.environ
        }
        return {
            **kept,
            "PATH": f"{self.folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "TERM": "dumb",
            "PIP_CACHE_DIR": str(self.folder / "pip-cache"),
            "TEST_KEYSTONE_URI": self.keystone_uri or "http://127.0.0.1:1/v3",
            "TEST_OLD_ENDPOINT": self.old_endpoint,
        }

    def run(self, phase: str) -> str:
        """Run one phase as DevStack would; what it said. Fails with the journal of the service."""
        command = ["bash", str(HERE / "phases.sh"), phase]
        done = subprocess.run(
            command, cwd=self.top, env=self._env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=3600,
        )  # fmt: skip
        assert done.returncode == 0, f"{phase}: {done.stdout[-6000:]}\n{self.journal()[-3000:]}"
        return done.stdout

    def client(self, *words: str) -> str:
        """Run OpenStack's client as DevStack's admin."""
        command = ["openstack", "--os-cloud=devstack-admin", *words]
        env = self._env()
        done = subprocess.run(
            [shutil.which("openstack", path=env["PATH"]) or "openstack", *command[1:]],
            env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def journal(self) -> str:
        """Return what the service said."""
        log = self.home / "systemd" / "devstack@g-api.service.log"
        return log.read_text() if log.exists() else ""

    def pid(self) -> int:
        """Return the service's process."""
        return int((self.home / "systemd" / "devstack@g-api.service.pid").read_text())

    def left(self) -> list[str]:
        """List what the phases have made and not removed, but for the clone and the stand-ins' notes."""
        made = [
            *(self.folder / "opt").rglob("*"),
            *(self.folder / "etc").rglob("*"),
            *self.home.rglob("*.service"),
        ]
        clone = self.folder / "opt" / "glance-fetcher"
        return sorted(
            str(path.relative_to(self.folder))
            for path in made
            if not path.is_relative_to(clone) and (path.is_file() or "fetcher" in path.name)
        )
