"""Commands that need no server: pull, inspect, config, doctor, completion."""

import asyncio
import gzip
import hashlib
import signal
import sys
from pathlib import Path

import pytest
import tomlkit

from fetcher.cli.exits import Exit
from tests.cli.conftest import Fetcher, spawn
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.certificates import Authorities
from tests.lab.origin import Origin
from tests.service import Running


def config_for(folder: Path, *origins: Origin) -> Path:
    """A configuration that may fetch from these."""
    running = Running(folder, *origins)
    running.write_config()
    return running.config


async def test_pull_puts_the_image_into_the_store(fetcher: Fetcher, tmp_path: Path) -> None:
    """The main job works without a server, and says where the bytes are."""
    body = qcow2(clusters=3)
    async with Origin({"/d": behaviours.serve(body)}) as origin:
        config = config_for(tmp_path, origin)
        result = await fetcher("pull", origin.url("/d"), "--config", config)
    assert result.code == Exit.OK
    file = Path(result.out.strip())
    assert file.read_bytes() == body
    assert file.name == hashlib.sha256(body).hexdigest()


async def test_the_same_key_pulls_once_into_a_store(fetcher: Fetcher, tmp_path: Path) -> None:
    """A script that runs twice tells the first end again; another URL with the key is a mistake."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin:
        keyed = ("--config", config_for(tmp_path, origin), "--idempotency-key", "night")
        first, second = [await fetcher("pull", origin.url("/d"), *keyed) for _ in range(2)]
        assert (first.code, second.code, first.out == second.out) == (Exit.OK, Exit.OK, True), second.err
        assert len(origin.requests) == 1
        other = await fetcher("pull", origin.url("/other"), *keyed)
        assert (other.code, "was used before" in other.err) == (Exit.USAGE, True)
        into = await fetcher("pull", origin.url("/d"), *keyed, "-o", tmp_path / "disk")
        assert (into.code, "--output" in into.err) == (Exit.USAGE, True)
        assert len(origin.requests) == 1


async def test_pull_refuses_like_a_server_and_leaves_nothing(fetcher: Fetcher, tmp_path: Path) -> None:
    """The same guards judge, and the store named on the command line stays empty."""
    store = tmp_path / "elsewhere"
    async with Origin({"/d": behaviours.serve(HTML)}) as origin:
        config = config_for(tmp_path, origin)
        result = await fetcher("pull", origin.url("/d"), "--config", config, "--store", store, "--json")
    assert result.code == Exit.REFUSED
    assert result.json["verdict"]["code"] == "format-unknown"
    assert [path for path in (store / "blobs").rglob("*") if path.is_file()] == []


async def test_pull_tells_that_a_server_holds_the_store(fetcher: Fetcher, tmp_path: Path) -> None:
    """Two writers of one store would be its end; the second is told who has it."""
    async with Running(tmp_path) as service:
        service.write_config(server={"listen": "[::1]:9300"})
        result = await fetcher("pull", "https://example.org/x?a&b", "--json", "--config", service.config)
    assert result.code == Exit.BUSY
    error = result.json["error"]
    assert "in use by another process" in error["detail"]
    url = "'https://example.org/x?a&b'"
    assert f"`fetcher submit {url} --wait --server http://[::1]:9300`" in error["advice"]
    assert f"`fetcher pull {url} -o FILE`" in error["advice"]


async def test_pull_into_a_file_needs_no_store(fetcher: Fetcher, tmp_path: Path) -> None:
    """Beside a server, too; what is refused leaves nothing, and what is there already stays."""
    file = tmp_path / "out" / "disk"
    file.parent.mkdir()
    routes = {"/d": behaviours.serve(qcow2()), "/page": behaviours.serve(HTML)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        into = ("-o", file, "--config", service.config)
        refused = await fetcher("pull", origin.url("/page"), *into)
        assert refused.code == Exit.REFUSED
        assert list(file.parent.iterdir()) == []
        pulled = await fetcher("pull", origin.url("/d"), *into)
        assert (pulled.code, pulled.out) == (Exit.OK, f"{file}\n")
        assert file.read_bytes() == qcow2()
        assert list(file.parent.iterdir()) == [file]
        again = await fetcher("pull", origin.url("/page"), *into)
        assert again.code == Exit.USAGE
        both = await fetcher("pull", origin.url("/d"), *into, "--store", tmp_path / "s")
        assert both.code == Exit.USAGE
        assert file.read_bytes() == qcow2()


async def test_ctrl_c_ends_a_pull_cleanly(tmp_path: Path) -> None:
    """Nothing of it is left, and nobody reads a traceback."""
    async with Origin({"/d": behaviours.stall(qcow2(), 100)}) as origin:
        config = config_for(tmp_path, origin)
        process = await spawn("pull", origin.url("/d"), "--config", config, cwd=tmp_path)
        async with asyncio.timeout(30):
            while not origin.requests:
                await asyncio.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _out, err = await process.communicate()
    assert process.returncode == Exit.INTERRUPTED
    assert b"Traceback" not in err
    assert list((tmp_path / "data" / "staging").iterdir()) == []


async def test_inspect_accepts_an_image(fetcher: Fetcher, tmp_path: Path) -> None:
    """What it is, how large its disk is, and that it would be taken."""
    file = tmp_path / "disk"
    file.write_bytes(qcow2())
    result = await fetcher("inspect", file, "--json")
    assert result.code == Exit.OK
    assert result.json["found"]["disk_format"] == "qcow2"
    assert result.json["found"]["virtual_bytes"] == 1 << 30
    words = await fetcher("inspect", file)
    assert "accepted" in words.out


@pytest.mark.parametrize(
    ("body", "options", "code"),
    [
        (HTML, (), "format-unknown"),
        (HTML, ("--disk-format", "qcow2"), "format-mismatch"),
        (gzip.compress(qcow2()), ("--disk-format", "qcow2"), "format-mismatch"),
        (b"", (), "empty"),
        (bytearray(qcow2())[:100], (), "format-unsafe"),
    ],
)
async def test_inspect_refuses_what_the_importer_would(
    fetcher: Fetcher, tmp_path: Path, body: bytes, options: tuple[str, ...], code: str
) -> None:
    """Its verdict is the importer's, with the same code, and the exit code of a refusal."""
    file = tmp_path / "disk"
    file.write_bytes(body)
    result = await fetcher("inspect", file, *options, "--json")
    assert result.code == Exit.REFUSED
    assert result.json["verdict"]["code"] == code
    assert (await fetcher("inspect", file, *options)).code == Exit.REFUSED


async def test_inspect_reads_a_url_through_the_gate(fetcher: Fetcher, tmp_path: Path) -> None:
    """A URL is held to the same rules as a submitted one."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin:
        config = config_for(tmp_path, origin)
        allowed = await fetcher("inspect", origin.url("/d"), "--config", config, "--json")
        assert allowed.json["found"]["format"] == "qcow2"
        forbidden = await fetcher("inspect", origin.url("/d"), "--json")
        assert forbidden.code == Exit.REFUSED
        assert forbidden.json["error"]["code"] == "url-invalid"


async def test_inspect_reads_standard_input(tmp_path: Path) -> None:
    """`-` is standard input."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from fetcher.cli import main; main()", "inspect", "-", "--json"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    out, _err = await process.communicate(qcow2())
    assert process.returncode == Exit.OK
    assert b'"qcow2"' in out


async def test_missing_file_is_a_usage_error(fetcher: Fetcher) -> None:
    """Said in one line."""
    result = await fetcher("inspect", "/nowhere/at/all")
    assert result.code == Exit.USAGE
    assert "No such file" in result.err


async def test_config_check_lists_every_mistake(fetcher: Fetcher, tmp_path: Path) -> None:
    """An operator corrects a file in one go."""
    bad = tmp_path / "bad.toml"
    bad.write_text("[size]\nmax_bytes = -1\n[nope]\n")
    result = await fetcher("config", "check", "--config", bad, "--json")
    assert result.code == Exit.USAGE
    assert {mistake["key"] for mistake in result.json["mistakes"]} == {"size.max_bytes", "nope"}
    assert (await fetcher("config", "check", "--config", bad)).err.count("\n") == 2
    assert (await fetcher("config", "check")).code == Exit.OK


async def test_config_show_tells_what_is_in_force(fetcher: Fetcher, tmp_path: Path) -> None:
    """And which keys are the operator's own."""
    own = tmp_path / "own.toml"
    own.write_text("[size]\nmax_bytes = 5\n")
    whole = await fetcher("config", "show", "--config", own)
    assert "max_bytes = 5   # from the operator's file" in whole.out
    assert "[retry]" in whole.out
    one = await fetcher("config", "show", "size.max_bytes", "--config", own)
    assert one.out == "5\n"
    section = await fetcher("config", "show", "size", "--config", own, "--json")
    assert section.json["max_bytes"] == 5
    own.write_text('[keystone]\npassword = "hush"\n[notify]\nsecret = "hush-hush-hush-hush"\n')
    for arguments in ((), ("--json",), ("notify.secret",)):
        shown = await fetcher("config", "show", *arguments, "--config", own)
        assert "REDACTED" in shown.out
        assert "hush" not in shown.out
    assert (await fetcher("config", "show", "size.nope")).code == Exit.USAGE
    assert (await fetcher("config", "show", "nope")).code == Exit.USAGE


async def test_config_set_keeps_comments_and_refuses_mistakes(fetcher: Fetcher, tmp_path: Path) -> None:
    """A key changes, the operator's own words stay, and a bad value changes nothing."""
    own = tmp_path / "own.toml"
    own.write_text("# ours\n[size]\nmax_bytes = 5 # small\n")
    assert (await fetcher("config", "set", "size.max_bytes", "2 GiB", "--config", own)).code == Exit.OK
    assert own.read_text() == "# ours\n[size]\nmax_bytes = 2147483648 # small\n"
    assert (await fetcher("config", "set", "url.schemes", '["https"]', "--config", own)).code == Exit.OK
    assert (await fetcher("config", "set", "log.level", "debug", "--config", own)).code == Exit.OK
    before = own.read_text()
    assert tomlkit.parse(before)["log"]["level"] == "debug"  # type: ignore[index] # a table
    assert (await fetcher("config", "set", "size.max_bytes", "-1", "--config", own)).code == Exit.USAGE
    assert (await fetcher("config", "set", "size.nope", "1", "--config", own)).code == Exit.USAGE
    assert (await fetcher("config", "set", "size", "1", "--config", own)).code == Exit.USAGE
    assert (await fetcher("config", "set", "size.max_bytes", "1")).code == Exit.USAGE
    assert own.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["own.toml"]


async def test_config_set_makes_a_file(fetcher: Fetcher, tmp_path: Path) -> None:
    """The first key that differs makes the operator's file."""
    own = tmp_path / "new.toml"
    result = await fetcher("config", "set", "size.max_bytes", "1000", "--config", own)
    assert result.code == Exit.OK
    assert own.read_text() == "[size]\nmax_bytes = 1000\n"


async def test_doctor_finds_a_healthy_machine(fetcher: Fetcher, tmp_path: Path) -> None:
    """Every finding has a level and words; nothing here keeps the service from working."""
    config = config_for(tmp_path)
    result = await fetcher("doctor", "--config", config, "--json")
    levels = {finding["what"]: finding["level"] for finding in result.json["findings"]}
    assert levels.pop("names") in {"ok", "bad"}  # A machine for tests may have no resolver.
    assert "bad" not in levels.values()
    assert levels.keys() >= {"configuration", "store", "disk", "port"}
    words = await fetcher("doctor", "--config", config)
    assert "store" in words.out


async def test_doctor_names_what_is_wrong(fetcher: Fetcher, tmp_path: Path) -> None:
    """A port in use by a stranger, and a file with mistakes, each with what to do."""
    async with Origin({"*": behaviours.status(500)}) as origin:
        config = tmp_path / "c.toml"
        config.write_text(f'[server]\nlisten = "{origin.host}:{origin.port}"\n')
        result = await fetcher("doctor", "--config", config, "--json")
        assert result.code == Exit.FAULT
        (bad,) = [finding for finding in result.json["findings"] if finding["level"] == "bad"]
        assert bad["what"] == "port"
    config.write_text("[nope]\n")
    broken = await fetcher("doctor", "--config", config, "--json")
    assert broken.json["findings"][-1]["what"] == "configuration"


async def test_doctor_tells_whom_https_trusts(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's file is named; what the environment names is told to be unused."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    own = tmp_path / "own.pem"
    Authorities().trusted(tmp_path)
    (tmp_path / "authorities.pem").rename(own)
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\nlisten = "127.0.0.1:0"\n[tls]\nca_file = "{own}"\nsystem_cas = false\n')
    result = await fetcher("doctor", "--config", config, "--json")
    (told,) = [finding for finding in result.json["findings"] if finding["what"] == "authorities"]
    assert told["words"] == (
        f"https sources are trusted by {own}; SSL_CERT_FILE of the environment is not used"
    )
    assert "tls.ca_file" in told["advice"]


async def test_doctor_advises(fetcher: Fetcher, tmp_path: Path) -> None:
    """No room, a folder open to others and one that cannot be: each with its advice."""
    (tmp_path / "data").mkdir(mode=0o755)
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\nlisten = "127.0.0.1:0"\n[store]\nreserve_bytes = {2**60}\n')
    result = await fetcher("doctor", "--config", config)
    assert result.code == Exit.FAULT
    assert "chmod 700" in result.out
    assert "reserve_percent" in result.out


async def test_serve_tells_that_its_port_is_taken(fetcher: Fetcher, tmp_path: Path) -> None:
    """In one line, with exit code 1; a file with mistakes ends it with 2."""
    async with Origin({}) as origin:
        result = await fetcher("serve", "--listen", f"{origin.host}:{origin.port}")
        assert result.code == Exit.FAULT
        assert "Cannot listen" in result.err
    bad = tmp_path / "bad.toml"
    bad.write_text("[nope]\n")
    assert (await fetcher("serve", "--config", bad)).code == Exit.USAGE


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [
        ("https://ci.example.org/hook?t=hush", "a" * 20, ("ok", "t=REDACTED is notified of imports, signed")),
        ("https://ci.example.org/hook", "", ("off", "not signed")),
        ("https://ci.internal/hook", "", ("bad", "can never be reached")),
    ],
)
async def test_doctor_looks_at_the_operators_receiver(
    fetcher: Fetcher, tmp_path: Path, url: str, secret: str, said: tuple[str, str]
) -> None:
    """A receiver that the rules for URLs shut out is found before the first import ends."""
    own = tmp_path / "own.toml"
    own.write_text(f'[server]\nlisten = "127.0.0.1:0"\n[notify]\nurl = "{url}"\nsecret = "{secret}"\n')
    result = await fetcher("doctor", "--config", own, "--json")
    [found] = [one for one in result.json["findings"] if one["what"] == "receiver"]
    assert found["level"] == said[0]
    assert said[1] in found["words"]
    assert "hush" not in result.out


async def test_doctor_greets_a_running_server(fetcher: Fetcher, tmp_path: Path) -> None:
    """A port that our own server has is as it should be."""
    async with Running(tmp_path) as service:
        port = service.base.rpartition(":")[2]
        service.write_config(server={"listen": f"127.0.0.1:{port}"})
        result = await fetcher("doctor", "--config", service.config)
        assert "a server of ours answers" in result.out


async def test_a_token_opens_the_service(fetcher: Fetcher, tmp_path: Path) -> None:
    """What is printed is the token; what goes into the configuration does not give it away."""
    made = await fetcher("token", "acme", 'me "and" you', "--role", "member", "--json")
    entry = made.json["entry"]
    assert made.json["token"] not in str(entry)
    async with Running(tmp_path, auth={"mode": "tokens", "tokens": [entry]}) as service:
        arguments = ("imports", "--json", "--server", service.base)
        assert (await fetcher(*arguments, "--token", made.json["token"])).json == {"imports": []}
        assert (await fetcher(*arguments, "--token", "wrong")).code == Exit.DENIED
        assert (await fetcher(*arguments)).code == Exit.DENIED
    words = await fetcher("token", "acme", 'me "and" you')
    line = words.err.splitlines()[1].strip()
    assert tomlkit.parse(f"x = {line}")["x"]["user"] == 'me "and" you'  # type: ignore[index] # a table


async def test_version_and_help(fetcher: Fetcher) -> None:
    """As everywhere."""
    assert (await fetcher("--version")).out.strip()
    assert "On a server" in (await fetcher("--help")).out
