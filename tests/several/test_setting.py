"""`[index] url`: what it takes, what it refuses in which words, and that its password is told to nobody."""

import asyncio
import json
from pathlib import Path

import psycopg
import pytest

from fetcher.cli.app import run
from fetcher.config import BadConfig, load_settings
from fetcher.errors import StoreFailed
from fetcher.index import open_index
from fetcher.service import Service
from fetcher.settings.places.index import Index as Rules
from tests.contract.index.postgres import PostgresPlace
from tests.service import Running

HUSH = "hush-hush"


@pytest.mark.parametrize(
    ("keys", "key", "word"),
    [
        ({"url": f"postgresql://u:{HUSH}@h/d"}, "index.url", "password_file"),
        ({"url": f"postgresql://h/d?password={HUSH}"}, "index.url", "password_file"),
        # As libpq reads a URL: what a password of people holds ends no part of it.
        *(
            ({"url": f"postgresql://u:{before}{HUSH}@h/d"}, "index.url", "password_file")
            for before in ("#", "?", "[", "%23")
        ),
        ({"url": f"postgresql://u:/{HUSH}@h/d"}, "index.url", "postgresql://user@host"),
        ({"url": f"postgresql://u:1/{HUSH}@h/d"}, "index.url", "postgresql://user@host"),
        ({"url": f"postgresql://u@h/d#?password={HUSH}"}, "index.url", "password_file"),
        ({"url": f"postgresql://h/d?sslpassword={HUSH}"}, "index.url", "password_file"),
        ({"url": f"postgresql://h/d?oauth_client_secret={HUSH}"}, "index.url", "password_file"),
        ({"url": f"mysql://u@h/{HUSH}"}, "index.url", "postgresql://user@host"),
        ({"url": f"host=h password={HUSH}"}, "index.url", "postgresql://user@host"),
        ({"url": "postgresql://h/d", "password_file": "/not/there"}, "index.password_file", "can be read"),
        ({"url": "postgresql://h/d", "max_connections": 1}, "index.max_connections", ">= 2"),
    ],
)
def test_a_mistake_is_told_without_its_secret(
    keys: dict[str, object], key: str, word: str, tmp_path: Path
) -> None:
    """Each says what is expected; none repeats what may be a password."""
    running = Running(tmp_path, index=keys)
    running.write_config()
    with pytest.raises(BadConfig) as caught:
        load_settings(running.config)
    found = {mistake.key: str(mistake) for mistake in caught.value.mistakes}
    assert word in found[key]
    assert HUSH not in str(found)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://fetcher@db.example/fetcher",
        "postgresql://fetcher@[::1]:5432,db:5433/fetcher?target_session_attrs=read-write",
        "postgresql://%2Frun%2Fpostgresql/fetcher?passfile=/etc/fetcher/pgpass",
        "postgresql:///fetcher?host=/run/postgresql&application_name=a@b:c",
    ],
)
def test_urls_without_a_secret_are_taken(url: str) -> None:
    """Several hosts, addresses, sockets and options are as libpq has them."""
    rules = Rules(url=url, password="", password_file="", max_connections=2, connect_seconds=1.0)
    assert list(rules.mistakes()) == []


def test_a_missing_driver_is_named_with_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads how to, in the checkout."""
    monkeypatch.setattr("fetcher.settings.places.index.find_spec", lambda _name: None)
    for url in ("postgresql://h/d", f"host=h password={HUSH}"):
        running = Running(tmp_path, index={"url": url})
        running.write_config()
        with pytest.raises(BadConfig, match="make setup EXTRAS=postgres") as caught:
            load_settings(running.config)
        assert HUSH not in str(caught.value)


def test_a_missing_engine_is_named_with_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chooses pgqueuer without its package reads how to install it."""
    monkeypatch.setattr("fetcher.settings.places.engine.find_spec", lambda _name: None)
    running = Running(tmp_path, index={"url": "postgresql://h/d"}, engine={"kind": "pgqueuer"})
    running.write_config()
    with pytest.raises(BadConfig, match='make setup EXTRAS="postgres pgqueuer"'):
        load_settings(running.config)


def test_the_password_is_shown_nowhere(
    database: PostgresPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes from a file or a key; what shows the settings, and doctor, hold it back."""
    secret = tmp_path / "password"
    secret.write_text(f"{HUSH}\n")
    running = Running(tmp_path, index={"url": database.as_url, "password": HUSH})
    running.write_config()
    assert load_settings(running.config).index.secret() == HUSH
    run(["config", "show", "index", "--config", str(running.config)])
    assert "REDACTED" in (shown := capsys.readouterr().out)
    assert HUSH not in shown
    running.write_config(index={"password": "", "password_file": str(secret)})
    assert load_settings(running.config).index.secret() == HUSH
    run(["doctor", "--json", "--config", str(running.config)])
    told = capsys.readouterr().out
    [finding] = [one for one in json.loads(told)["findings"] if one["what"] == "database"]
    assert (finding["level"], "migrations at the next start" in finding["words"]) == ("ok", True)
    assert HUSH not in told


async def refusal(running: Running) -> str:
    """How the start fails."""
    running.write_config()
    with pytest.raises(StoreFailed) as caught:
        async with asyncio.timeout(60), Service(running.config).open_services():
            pass
    return caught.value.reason


async def test_a_database_that_cannot_be_used_is_told_at_the_start(
    database: PostgresPlace, tmp_path: Path
) -> None:
    """Unreachable, unknown, of another encoding, of a later version: each in words that lead on."""
    nowhere = Running(tmp_path, index={"url": "postgresql://u@127.0.0.1:1/d", "connect_seconds": 2.0})
    assert "refused" in await refusal(nowhere)
    unknown = Running(tmp_path, index={"url": database.as_url.replace("/place", "/noplace")})
    assert "does not exist" in await refusal(unknown)
    elsewhere = f"{database.url.rpartition('=')[0]}=postgres"
    with psycopg.connect(elsewhere, autocommit=True) as admin:
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    name = database.url.rpartition("=")[2]
    latin = Running(tmp_path, index={"url": database.as_url.replace(f"/{name}?", "/latin?")})
    assert "ENCODING 'UTF8'" in await refusal(latin)
    mine = Running(tmp_path, index={"url": database.as_url})
    mine.write_config()
    async with open_index(load_settings(mine.config).index, tmp_path / "unused"):
        pass
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("INSERT INTO migrations (name) VALUES ('9999_later')")
    assert "later version's: it has 9999_later" in await refusal(mine)


def test_a_backup_of_files_alone_is_refused(
    database: PostgresPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The records are not in the folder: the words name the tool that copies them."""
    running = Running(tmp_path, index={"url": database.as_url})
    running.write_config()
    run(["store", "backup", str(tmp_path / "copy"), "--config", str(running.config)])
    assert "pg_dump" in capsys.readouterr().err


def test_a_check_of_the_store_reads_the_database(
    database: PostgresPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`store check` compares rows and files wherever the rows are."""
    running = Running(tmp_path, index={"url": database.as_url})
    running.write_config()

    async def start() -> None:
        async with Service(running.config).open_services():
            pass

    asyncio.run(start())
    code = run(["store", "check", "--config", str(running.config)])
    assert (code, "0 blobs checked" in capsys.readouterr().err) == (0, True)
