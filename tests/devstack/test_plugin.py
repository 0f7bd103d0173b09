"""The plugin's files are what DevStack takes, whatever DevStack is at hand."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit

from tests.devstack.ground import DEVSTACK, ROOT, lacking_devstack

PLUGIN = ROOT / "devstack"
SCRIPTS = ("override-defaults", "settings", "plugin.sh", "lib/glance-fetcher")
# What stack.sh, unstack.sh and clean.sh call, in their order.
CALLED = {
    "stack.sh": [
        "run_phase override_defaults",
        "source $TOP_DIR/lib/glance",
        "run_phase source",
        "stack_install_service glance",
        "configure_glance",
        "async_runfunc create_glance_accounts",
        "async_runfunc init_glance",
        "run_phase stack post-config",
        "merge_config_group $TOP_DIR/local.conf post-config",
        "start_glance",
        "upload_image $image_url",
        "run_phase stack test-config",
    ],
    "unstack.sh": ["source $TOP_DIR/lib/glance", "load_plugin_settings", "run_phase unstack", "stop_glance"],
    "clean.sh": ["source $TOP_DIR/lib/glance", "load_plugin_settings", "run_phase clean", "cleanup_glance"],
}
# Just enough of DevStack for the functions that need no machine.
FRAME = """
set -o errexit
define_plugin() { :; }
is_service_enabled() { [[ ",$ENABLED," == *",$1,"* ]]; }
die() { shift; echo "$*" >&2; exit 1; }
ENABLED=g-api DATA_DIR=$PWD/data GLANCE_SERVICE_PROTOCOL=http GLANCE_SERVICE_HOST=10.0.0.5
SERVICE_HOST=10.0.0.5 GLANCE_SERVICE_PORT=9292 GLANCE_SERVICE_PORT_INT=19292
GLANCE_SERVICE_LISTEN_ADDRESS=0.0.0.0
SERVICE_PROTOCOL=http KEYSTONE_SERVICE_URI=http://10.0.0.5/identity SERVICE_PROJECT_NAME=service
FETCHER_CONF_DIR=$PWD ENABLE_DEBUG_LOG_LEVEL=True GLANCE_ENFORCE_IMAGE_FORMAT=True SSL_BUNDLE_FILE=$PWD/ca.pem
"""


def tool(name: str) -> str:
    """Find a checker of this environment, or skip."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def bash(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run words after the plugin's settings have been read."""
    frame, _, last = script.rpartition(";;")
    whole = f"{FRAME}\n{frame}\nsource {PLUGIN}/settings\n{last}"
    return subprocess.run(["bash", "-c", whole], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SCRIPTS)
def test_bash_reads_it(name: str) -> None:
    """Bash finds no error of syntax."""
    done = subprocess.run(["bash", "-n", PLUGIN / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(name: str) -> None:
    """No word is split and no variable lost by accident."""
    command = [tool("shellcheck"), "-s", "bash", "-S", "warning", PLUGIN / name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_bashate_finds_nothing(name: str) -> None:
    """The style is DevStack's own."""
    done = subprocess.run([tool("bashate"), PLUGIN / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(bool(lacking_devstack()), reason=lacking_devstack())
@pytest.mark.parametrize("script", CALLED)
def test_devstack_calls_what_is_defined_here(script: str) -> None:
    """DevStack's scripts still make these calls in this order: the plugin hangs on them."""
    text = (DEVSTACK / script).read_text()
    at = 0
    for call in CALLED[script]:
        found = re.compile(rf"^\s*{re.escape(call)}$", re.MULTILINE).search(text, at)
        assert found is not None, f"{script} does not call {call} where it did"
        at = found.end()


@pytest.mark.skipif(bool(lacking_devstack()), reason=lacking_devstack())
def test_every_function_replaces_one_of_glance() -> None:
    """None of the names is one that DevStack never calls."""
    ours = re.findall(
        r"^function (\w+_glance\w*) ", (PLUGIN / "lib/glance-fetcher").read_text(), re.MULTILINE
    )
    theirs = (DEVSTACK / "lib/glance").read_text()
    assert len(ours) == 7
    for name in ours:
        assert f"\nfunction {name} {{" in theirs


def config(folder: Path, before: str = "", *words: str) -> dict[str, dict[str, object]]:
    """Return the configuration that the plugin writes, once the service has taken it."""
    done = bash(folder, f"{before};;fetcher_write_config {' '.join(words)}")
    assert done.returncode == 0, done.stderr
    (folder / "password").write_text("secret")
    (folder / "ca.pem").touch()
    taken = [sys.executable, ROOT / "server.py", "--config", folder / "config.toml", "--check-config"]
    done = subprocess.run(taken, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return tomlkit.parse((folder / "config.toml").read_text()).unwrap()


def test_the_configuration_as_it_is_by_default(tmp_path: Path) -> None:
    """The service asks Keystone, listens where DevStack says and lets Horizon's pages in."""
    written = config(tmp_path)
    assert written["server"]["listen"] == "0.0.0.0:9292"
    assert written["server"]["public_url"] == "http://10.0.0.5:9292"
    assert written["server"]["cors_origins"] == ["http://10.0.0.5"]
    assert written["keystone"]["auth_url"] == "http://10.0.0.5/identity/v3"
    assert written["quota"]["source"] == "config"
    assert written["format"]["enforce_on_upload"] is True


def test_with_limits_in_keystone(tmp_path: Path) -> None:
    """With an endpoint to ask for, quotas come from Keystone."""
    written = config(tmp_path, "", "0123abcd", "4567ef")
    assert written["quota"]["source"] == "keystone"
    assert written["keystone"]["endpoint_id"] == "4567ef"
    assert written["keystone"]["user_domain_id"] == "0123abcd"


def test_behind_the_tls_proxy(tmp_path: Path) -> None:
    """Only the proxy reaches the service, which trusts DevStack's authority."""
    written = config(tmp_path, "ENABLED=g-api,tls-proxy GLANCE_SERVICE_PROTOCOL=https SERVICE_PROTOCOL=https")
    assert written["server"]["listen"] == "127.0.0.1:19292"
    assert written["server"]["public_url"] == "https://10.0.0.5:9292"
    assert written["keystone"]["ca_file"] == str(tmp_path / "ca.pem")
    assert written["inbound"]["proxies"] == ["127.0.0.1/32"]


def test_an_address_of_version_6(tmp_path: Path) -> None:
    """DevStack's unquoted address is quoted again."""
    before = "GLANCE_SERVICE_LISTEN_ADDRESS=:: GLANCE_SERVICE_HOST='[fd00::5]' SERVICE_HOST='[fd00::5]'"
    written = config(tmp_path, before)
    assert written["server"]["listen"] == "[::]:9292"
    assert written["server"]["public_url"] == "http://[fd00::5]:9292"


def test_without_format_enforcement(tmp_path: Path) -> None:
    """DevStack's own switch is the service's."""
    assert config(tmp_path, "GLANCE_ENFORCE_IMAGE_FORMAT=False")["format"]["enforce_on_upload"] is False


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("USE_CINDER_FOR_GLANCE=True", "USE_CINDER_FOR_GLANCE"),
        ("GLANCE_USE_S3=True", "GLANCE_USE_S3"),
        ("GLANCE_ENABLE_MULTIPLE_STORES=True", "GLANCE_ENABLE_MULTIPLE_STORES"),
        ("ENABLED=g-api,g-api-r", "g-api-r"),
    ],
)
def test_what_glance_does_and_this_does_not_is_refused(tmp_path: Path, setting: str, word: str) -> None:
    """A choice in local.conf that would be ignored stops stack.sh in its first phase."""
    done = bash(tmp_path, f"{setting};;source {PLUGIN}/plugin.sh stack pre-install")
    assert done.returncode == 1
    assert word in done.stderr
    assert "local.conf" in done.stderr


def test_packages_are_listed_under_the_name_of_the_plugin() -> None:
    """DevStack looks for files/debs/NAME, with the name that define_plugin gives."""
    name = re.search(r"^define_plugin (\S+)$", (PLUGIN / "settings").read_text(), re.MULTILINE)
    assert name is not None
    for kind in ("debs", "rpms"):
        assert (PLUGIN / "files" / kind / name[1]).read_text().split()
