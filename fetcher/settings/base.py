"""The base of the sections of `config.toml`."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

PLAIN_KEY = b"-----BEGIN PUBLIC KEY-----"
Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=315_360_000)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Percent = Annotated[float, Meta(ge=0, le=90)]
Address = Annotated[
    str,
    Meta(
        pattern=r"^((\[[0-9A-Fa-f:.]+\]|[^:\[\]/]+):\d{1,5}|unix:/[^\0]{1,100})$",
        description="host:port or unix:/path/of/a/socket",
    ),
]
Network = Annotated[
    str, Meta(pattern=r"^[0-9A-Fa-f:.]+/\d{1,3}$", description="a network such as 10.1.0.0/16")
]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
_HOST = r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
HostPattern = Annotated[
    str, Meta(pattern=f"^{_HOST}$", description="a host name such as image.corp, or *.corp for all below it")
]
HostOrAddress = Annotated[
    str, Meta(pattern=f"^({_HOST}|[0-9A-Fa-f:.]+)$", description="a host name, *.name or an address")
]
Unproxied = Annotated[
    str,
    Meta(
        pattern=rf"^(\.?{_HOST}|[0-9A-Fa-f:.]+(/\d{{1,3}})?)$",
        description="a host name, .name for all below it, an address or a network",
    ),
]


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a configuration.

    Args:
        key: `section.key`.
        value: What the file says, as TOML would print it; empty if nothing.
        expected: What it should be.
    """

    key: str
    value: str
    expected: str

    def __str__(self) -> str:
        """Print on one line."""
        return f"{self.key} = {self.value or '(missing)'}: expected {self.expected}"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of `config.toml`. No field has a default: the file holds them all."""

    def mistakes(self) -> Iterator[Mistake]:
        """Find what each key alone cannot show."""
        yield from ()


def convert_section(
    name: str, section: type[Section], table: dict[str, Any], into: dict[str, Any]
) -> Iterator[Mistake]:
    """Check one table key by key; what is right comes `into`."""
    for key, kind in get_type_hints(section, include_extras=True).items():
        if key not in table:
            yield Mistake(key=f"{name}.{key}", value="", expected=_wanted(kind))
            continue
        try:
            into[key] = msgspec.convert(table[key], kind)
        except msgspec.ValidationError as error:
            yield Mistake(key=f"{name}.{key}", value=printed(table[key]), expected=_say(str(error), kind))


def _say(message: str, kind: Any) -> str:
    """Turn msgspec's complaint into what is expected instead."""
    wanted = message.removeprefix("Expected ").split(", got")[0]
    if "Invalid enum value" in message or "matching regex" in message:
        wanted = _wanted(kind)
    return wanted.replace("`", "")


def _wanted(kind: Any) -> str:
    schema = msgspec.json.schema(kind)
    inner = schema.get("items", schema)
    words = ["a list of" if "items" in schema else "", inner.get("description", "")]
    if "enum" in inner:
        words.append("one of " + ", ".join(inner["enum"]))
    elif not inner.get("description"):
        words.append(inner.get("type", "a table"))
    return " ".join(word for word in words if word)


def printed(value: object) -> str:
    """Print a value as the file would."""
    return msgspec.json.encode(value, enc_hook=str).decode()


def unusable_keys(key: str, paths: list[str]) -> Iterator[Mistake]:
    """Find files with keys that are not there, and OpenPGP certificates where nothing can read them."""
    yield from unreadable(key, paths)
    pgp = [path for path in paths if Path(path).is_file() and PLAIN_KEY not in Path(path).read_bytes()]
    if pgp and find_spec("pysequoia") is None:
        expected = "none without the package pysequoia; in the checkout: make setup EXTRAS=sign"
        yield Mistake(key=key, value=printed(pgp), expected=expected)


def unreadable(key: str, paths: list[str]) -> Iterator[Mistake]:
    """Find files that are not there."""
    for path in paths:
        if not Path(path).is_file():
            yield Mistake(key=key, value=path, expected="a file that can be read")
