"""Looks at everything the service needs of its machine, and says what is off because something is missing."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from rich.text import Text

from fetcher.api.submit.words import size_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.client import Client, Refused, Unreachable
from fetcher.cli.exits import Exit
from fetcher.cli.machine.digesting import advice_on, seconds_per_gib
from fetcher.cli.screen import Screen
from fetcher.config import BadConfig, Settings, base_path, data_folder, load_settings
from fetcher.convert.sandbox import probe_walls
from fetcher.errors import Failure, InvalidUrl, StoreFailed
from fetcher.guards.request.url import check_url, redact_url
from fetcher.index.opening import look_at
from fetcher.store.configured import NO_CONDITIONS, examine_bucket
from fetcher.store.filesystem.disk import DISK
from fetcher.transport import system_authorities

Level = Literal["ok", "off", "bad"]
STYLES: dict[Level, str] = {"ok": "green", "off": "yellow", "bad": "bold red"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at.

    Args:
        level: ok; off: something smaller is not available; bad: imports cannot work.
        advice: What to do; empty when nothing is.
    """

    what: str
    level: Level
    words: str
    advice: str = ""


def doctor(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Look for what keeps the service from working on this machine.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    findings = list(_examine(config))
    is_bad = any(finding.level == "bad" for finding in findings)
    if screen.as_json:
        screen.json({"ok": not is_bad, "findings": msgspec.to_builtins(findings)})
    else:
        for finding in findings:
            _show(screen, finding)
    return Exit.FAULT if is_bad else Exit.OK


def _show(screen: Screen, finding: Finding) -> None:
    level = (f"{finding.level:<4}", STYLES[finding.level])
    screen.out.print(Text.assemble(level, f"{finding.what:<14}", finding.words))
    if finding.advice:
        screen.out.print(Text(f"{'':<18}{finding.advice}", style="dim"))


def _examine(config: Path | None) -> Iterator[Finding]:
    yield _python()
    try:
        settings = load_settings(config)
    except BadConfig as error:
        words = f"{len(error.mistakes)} mistakes, first: {error.mistakes[0]}"
        yield Finding(
            what="configuration", level="bad", words=words, advice="fetcher config check lists all."
        )
        return
    yield Finding(what="configuration", level="ok", words=str(config or base_path()))
    folder = data_folder(settings, config)
    checks: list[Callable[[], Finding]] = [
        _libmagic,
        _qemu_img,
        _sandbox,
        lambda: _folder(folder),
        lambda: _space(folder, settings),
        _clock,
        lambda: _digests(settings),
        lambda: _authorities(settings),
        _names,
        lambda: _port(settings),
    ]
    if settings.store.url:
        checks.append(lambda: _bucket(settings))
    if settings.index.is_shared:
        checks.append(lambda: _database(settings))
    if settings.notify.url:
        checks.append(lambda: _receiver(settings))
    for check in checks:
        yield check()


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    is_fit = sys.version_info >= (3, 11)
    return Finding(what="python", level="ok" if is_fit else "bad", words=version)


def _database(settings: Settings) -> Finding:
    try:
        words = asyncio.run(look_at(settings.index))
    except StoreFailed as error:
        advice = (
            "Check index.url, index.password_file and the database's pg_hba.conf; see several-machines.md."
        )
        return Finding(what="database", level="bad", words=error.reason, advice=advice)
    return Finding(what="database", level="ok", words=f"{settings.index.place}: {words}")


def _receiver(settings: Settings) -> Finding:
    shown = redact_url(settings.notify.url)
    try:
        check_url(settings.notify.url, settings)
    except InvalidUrl as error:
        words = f"notify.url {shown} can never be reached: {error.reason}"
        advice = "It is held to the rules of every URL: [url], and address.allow for one of your own network."
        return Finding(what="receiver", level="bad", words=words, advice=advice)
    signed = "signed" if settings.notify.secret else "not signed, since notify.secret is empty"
    level: Level = "ok" if settings.notify.secret else "off"
    return Finding(what="receiver", level=level, words=f"{shown} is notified of imports, {signed}")


def _libmagic() -> Finding:
    try:
        import magic

        name = magic.from_buffer(b"\x7fELF")
    except (ImportError, OSError) as error:
        words = f"not usable ({error}); content that is no disk image is refused without being named"
        return Finding(what="libmagic", level="off", words=words, advice="apt-get install libmagic1")
    return Finding(what="libmagic", level="ok", words=f"usable; it calls the head of a program {name!r}")


def _qemu_img() -> Finding:
    path = shutil.which("qemu-img")
    if path is None:
        words = "not found; images that cannot be converted in one pass are not converted"
        return Finding(what="qemu-img", level="off", words=words, advice="apt-get install qemu-utils")
    return Finding(what="qemu-img", level="ok", words=path)


def _sandbox() -> Finding:
    walls = asyncio.run(probe_walls())
    if not walls.is_standing:
        words = "no wall holds here, so qemu-img and the boot proof are not started"
        advice = "It takes Landlock and seccomp (Linux 5.13, or a container that allows them), or bubblewrap."
        return Finding(what="sandbox", level="off", words=words, advice=advice)
    return Finding(what="sandbox", level="ok", words=f"a canary was held by {', '.join(walls.names)}")


def _folder(folder: Path) -> Finding:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        words = f"{existing} cannot be written by user {os.getuid()}"
        return Finding(what="store", level="bad", words=words, advice="Change its owner, or store.folder.")
    if existing != folder:
        return Finding(what="store", level="ok", words=f"{folder}, made at the first start")
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        words = f"{folder} is open to other users (mode {mode:o})"
        return Finding(what="store", level="off", words=words, advice=f"chmod 700 {folder}")
    return Finding(what="store", level="ok", words=str(folder))


def _space(folder: Path, settings: Settings) -> Finding:
    while not folder.exists():
        folder = folder.parent
    free, total = DISK.room(folder)
    rules = settings.store
    usable = free - max(rules.reserve_bytes, int(total * rules.reserve_percent / 100))
    words = f"{size_words(free)} free, {size_words(max(0, usable))} of it usable for images"
    if usable <= 0:
        advice = "Free some space, or lower store.reserve_bytes and store.reserve_percent."
        return Finding(what="disk", level="bad", words=words, advice=advice)
    level: Level = "ok" if usable >= settings.size.max_bytes else "off"
    advice = "" if level == "ok" else "One image may be larger than that: size.max_bytes."
    return Finding(what="disk", level=level, words=words, advice=advice)


def _bucket(settings: Settings) -> Finding:
    url = settings.store.url
    try:
        is_kept = examine_bucket(settings)
    except Failure as failure:
        words = f"{url} cannot be used: {getattr(failure, 'reason', failure)}"
        return Finding(what="bucket", level="bad", words=words, advice="See [bucket], and its credentials.")
    if not is_kept:
        return Finding(what="bucket", level="off", words=f"{url}: {NO_CONDITIONS}")
    return Finding(what="bucket", level="ok", words=f"{url} can be written, and is never overwritten")


def _clock() -> Finding:
    newest = base_path().stat().st_mtime
    now = time.time()
    words = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < newest:
        words += ", earlier than our own files"
        advice = "Set the clock: certificates are judged by it."
        return Finding(what="clock", level="bad", words=words, advice=advice)
    return Finding(what="clock", level="ok", words=words)


def _digests(settings: Settings) -> Finding:
    rules = settings.checksum
    measured = seconds_per_gib(list(dict.fromkeys([*rules.algorithms, "sha256", "sha512"])))
    each = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in measured.items())
    whole = sum(measured[name] for name in rules.algorithms)
    words = f"of a GiB: {each}; each image {' + '.join(rules.algorithms)}: {whole:.1f} s"
    return Finding(
        what="digests", level="ok", words=words, advice=advice_on(rules.algorithms, rules.address, measured)
    )


def _authorities(settings: Settings) -> Finding:
    rules = settings.tls
    machine = [path for path in system_authorities() if rules.system_cas and Path(path).exists()]
    words = f"https sources are trusted by {', '.join([*machine, *filter(None, [rules.ca_file])])}"
    if not machine and not rules.ca_file:
        words = "this machine has no authorities, so no https source can be trusted"
        advice = "apt-get install ca-certificates, or name a file of them in tls.ca_file."
        return Finding(what="authorities", level="bad", words=words, advice=advice)
    named = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ]
    if named:
        words += f"; {' and '.join(named)} of the environment is not used"
        advice = "Authorities of your own belong in tls.ca_file."
        return Finding(what="authorities", level="ok", words=words, advice=advice)
    return Finding(what="authorities", level="ok", words=words)


def _names() -> Finding:
    servers = [line.split()[1] for line in _resolv_conf() if line.startswith("nameserver ")]
    if not servers:
        words = "/etc/resolv.conf names no server; host names cannot be resolved"
        return Finding(what="names", level="bad", words=words, advice="Configure a resolver.")
    return Finding(what="names", level="ok", words=f"resolved by {', '.join(servers)}")


def _resolv_conf() -> list[str]:
    try:
        return Path("/etc/resolv.conf").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _port(settings: Settings) -> Finding:
    listen = settings.server.listen
    if settings.server.path is not None:
        return _free_port(settings)
    try:
        Client(f"http://{listen}").get("/healthz")
    except Refused as error:
        words = f"something at {listen} answers with status {error.status}"
        return Finding(what="port", level="bad", words=words, advice="Choose another server.listen.")
    except Unreachable:
        return _free_port(settings)
    return Finding(what="port", level="ok", words=f"a server of ours answers at {listen}")


def _free_port(settings: Settings) -> Finding:
    from fetcher.listening import bind, release

    listen = settings.server.listen
    try:
        release(bind(settings.server), settings.server)
    except OSError as error:
        words = f"{listen} cannot be listened on: {error.strerror}"
        return Finding(what="port", level="bad", words=words, advice="Choose another server.listen.")
    return Finding(what="port", level="ok", words=f"{listen} is free")
