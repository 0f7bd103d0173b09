"""DevStack's own functions install, run and remove the service in Glance's place."""

import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomlkit

from tests.devstack.ground import Ground, keystone, lacking_devstack, lacking_keystone
from tests.images import qcow2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(bool(lacking_devstack()), reason=lacking_devstack()),
]


def answer(url: str) -> int:
    """Return the status that a URL answers with; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return 0


def imported(ground: Ground) -> list[tuple[str, str]]:
    """Return names and status of the images, once no import is running; lib/tempest waits like this."""
    while True:
        images = json.loads(ground.client("image", "list", "-f", "json"))
        if not any(image["Status"] in ("queued", "importing", "uploading", "saving") for image in images):
            return [(image["Name"], image["Status"]) for image in images]


@pytest.fixture
def identity() -> Iterator[str]:
    """Run a real Keystone."""
    if lacking_keystone():
        pytest.skip(lacking_keystone())
    state = Path(tempfile.mkdtemp(prefix="devstack-keystone-"))
    try:
        with keystone(state, Ground.old_endpoint) as address:
            yield address
    finally:
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Lay out a machine whose client only notes what it is asked."""
    made = Ground(tmp_path)
    yield made
    made.run("unstack")


def test_stack_restart_unstack_and_clean(ground: Ground) -> None:
    """Twice in a row the service runs where Glance would; afterwards nothing of it is left."""
    ground.run("stack")
    assert answer(f"{ground.url}/healthz") == 200
    unit = (ground.home / ".local/share/systemd/user/devstack@g-api.service").read_text()
    assert f"ExecStart = {ground.folder}/opt/data/glance-fetcher-venv/bin/python " in unit
    first = ground.pid()
    stamp = ground.folder / "opt/data/glance-fetcher-venv/stamp"
    made = stamp.stat().st_mtime_ns

    ground.run("stack")
    assert ground.pid() != first
    assert stamp.stat().st_mtime_ns == made, "nothing is installed again when nothing changed"
    second = ground.pid()
    ground.run("restart")
    assert ground.pid() != second
    assert answer(f"{ground.url}/healthz") == 200

    calls = [json.loads(line) for line in (ground.home / "openstack-calls").read_text().splitlines()]
    assert ["user", "create", "glance"] in [call[:3] for call in calls]
    assert ["endpoint", "create", "image", "public", ground.url, "--region", "RegionOne"] in [
        call[:7] for call in calls
    ]
    assert ["endpoint", "set", "--url", ground.url, "0123456789abcdef"] in calls
    uploads = [call for call in calls if call[1:3] == ["image", "create"]]
    assert len(uploads) == 2
    assert all("--import" in call and "--public" in call for call in uploads)
    tempest = (ground.top / "tempest.conf").read_text()
    assert "import_image = True" in tempest
    assert "image_caching_enabled = False" in tempest
    conf = ground.folder / "etc" / "glance-fetcher"
    assert (conf / "password").stat().st_mode & 0o777 == 0o600
    written = tomlkit.parse((conf / "config.toml").read_text()).unwrap()
    assert written["address"]["allow"] == [{"cidr": "10.1.0.0/16", "ports": [80]}]
    assert written["size"]["max_bytes"] == 5_000_000_000

    ground.run("unstack")
    assert answer(f"{ground.url}/healthz") == 0
    ground.run("unstack")
    ground.run("clean")
    assert ground.left() == []


def test_with_a_real_keystone(tmp_path: Path, identity: str) -> None:
    """Image upload, catalogue and limits work with Keystone and OpenStack's client, a second time too."""
    ground = Ground(tmp_path, identity)
    try:
        for _ in range(2):
            ground.run("stack")
            assert imported(ground) == [("disk", "active")]
            catalogue = ground.client("catalog", "show", "image", "-f", "json")
            assert ground.url in catalogue
            assert Ground.old_endpoint not in ground.client(
                "endpoint", "list", "--service", "image", "--interface", "public", "-f", "json"
            )
        ground.run("restart")
        saved = tmp_path / "saved.qcow2"
        ground.client("image", "save", "--file", str(saved), "disk")
        assert saved.read_bytes() == qcow2()
        token = ground.client("token", "issue", "-f", "value", "-c", "id").strip()
        asked = urllib.request.Request(f"{ground.url}/v2/info/usage", headers={"X-Auth-Token": token})
        with urllib.request.urlopen(asked, timeout=60) as response:
            usage = json.load(response)["usage"]
        assert usage["image_count_total"] == {"limit": 100, "usage": 1}
        assert usage["image_size_total"]["limit"] == 2000
    finally:
        ground.run("unstack")
    ground.run("clean")
    assert ground.left() == []


def test_mistakes_in_the_configuration_are_told(tmp_path: Path) -> None:
    """A wrong key in local.conf stops stack.sh with the key's name, before anything is started."""
    ground = Ground(tmp_path, extra="[size]\nmax_byte = 5\n")
    with pytest.raises(AssertionError, match="max_byte"):
        ground.run("stack")
    assert answer(f"{ground.url}/healthz") == 0
    ground.run("unstack")
    ground.run("clean")
    assert ground.left() == []
