"""Commands on the configuration: check, show, set."""

from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import Item

from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen
from fetcher.config import BadConfig, base_path, load_settings

SECRETS = (("index", "password"), ("keystone", "password"), ("notify", "secret"))
_SUFFIXES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def check(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """List every mistake of a configuration at once.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    try:
        load_settings(config)
    except BadConfig as error:
        if screen.as_json:
            screen.json({"valid": False, "mistakes": msgspec.to_builtins(error.mistakes)})
        for mistake in error.mistakes:
            screen.say(str(mistake))
        return Exit.USAGE
    if screen.as_json:
        screen.json({"valid": True, "mistakes": []})
    screen.say("The configuration is valid.")
    return Exit.OK


def show(key: str | None = None, *, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Show what is in force, or one section or key of it.

    Args:
        key: `section` or `section.key`.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    chosen = _choose(_redacted(msgspec.to_builtins(load_settings(config))), key)
    changed = _own_keys(config)
    if screen.as_json:
        screen.json(chosen)
        return Exit.OK
    if not isinstance(chosen, dict):
        screen.line(chosen if isinstance(chosen, str) else msgspec.json.encode(chosen).decode())
        return Exit.OK
    sections = chosen if key is None else {str(key): chosen}
    for section, table in sections.items():
        screen.line(f"[{section}]")
        for name, value in table.items():
            own = "   # from the operator's file" if (section, name) in changed else ""
            screen.line(f"{name} = {_toml(value)}{own}")
        screen.line("")
    return Exit.OK


def _redacted(values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the same without secrets: what is shown ends up in tickets."""
    for section, name in SECRETS:
        values[section][name] = "REDACTED" if values[section][name] else ""
    return values


def _own_keys(config: Path | None) -> set[tuple[str, str]]:
    if config is None or config.resolve() == base_path().resolve():
        return set()
    document = tomlkit.parse(config.read_text("utf-8"))
    return {(section, name) for section, table in document.items() for name in table}


def _choose(values: dict[str, dict[str, Any]], key: str | None) -> Any:
    if key is None:
        return values
    section, dot, name = key.partition(".")
    if section not in values:
        raise ValueError(f"no section is named {section}; there are {', '.join(values)}")
    if dot and name not in values[section]:
        raise ValueError(f"[{section}] has no key {name}; it has {', '.join(values[section])}")
    return values[section][name] if dot else values[section]


def set_key(key: str, value: str, *, config: ConfigFile = None) -> Exit:
    """Change one key of the operator's file; its comments stay, and a change that is not valid is refused.

    Args:
        key: `section.key`.
        value: As TOML: `true`, `20`, `["https"]`; a text needs no quotes;
            bytes may end in KiB, MiB, GiB or TiB.
        config: The operator's file; made when missing.
    """
    if config is None:
        raise ValueError("say which file to change: --config FILE, or FETCHER_CONFIG in the environment")
    screen = Screen()
    section, _, name = key.partition(".")
    before = _choose(_redacted(msgspec.to_builtins(load_settings(config if config.exists() else None))), key)
    document = tomlkit.parse(config.read_text("utf-8") if config.exists() else "")
    if not name:
        raise ValueError(f"{key} is a section: say which key of it, as {key}.KEY")
    table: Any = document.setdefault(section, tomlkit.table())
    table[name] = _value(value)
    _replace(config, tomlkit.dumps(document))
    after = _choose(_redacted(msgspec.to_builtins(load_settings(config))), key)
    screen.say(f"{key} = {_toml(after)} (was {_toml(before)})")
    screen.say("A running server takes it up at SIGHUP; keys marked [restart] need a restart.", "dim")
    return Exit.OK


def _value(text: str) -> Item:
    number, suffix = text[:-3].strip(), text[-3:]
    if suffix in _SUFFIXES and number.isascii() and number.isdigit():
        return tomlkit.item(int(number) * _SUFFIXES[suffix])
    try:
        return tomlkit.value(text)
    except (ParseError, ValueError):
        return tomlkit.item(text)


def _toml(value: object) -> str:
    return tomlkit.item(value).as_string()


def _replace(path: Path, text: str) -> None:
    """Put a new text in the file's place, but only a valid one.

    Raises:
        BadConfig: The new text has mistakes; the file is as it was.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, "utf-8")
        load_settings(beside)
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o7777)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
