"""Numbers and states in words that a person reads at a glance."""

from typing import Any

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

STYLES = {
    "queued": "dim",
    "running": "cyan",
    "waiting": "yellow",
    "succeeded": "green",
    "refused": "red",
    "failed": "yellow",
    "cancelled": "dim",
}

_PHASES = {
    "connecting": "connecting",
    "pulling": "receiving",
    "verifying": "checking digests",
    "converting": "converting",
    "delivering": "sending to the target",
    "committing": "storing",
}


def size_words(size: float | None) -> str:
    """Return a number of bytes with a binary unit: `4.8 MiB`."""
    if size is None:
        return "-"
    value, unit = float(size), 0
    while abs(value) >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    is_whole = unit == 0 or value >= 100 or value == int(value)
    return f"{value:.0f} {UNITS[unit]}" if is_whole else f"{value:.1f} {UNITS[unit]}"


def exact_words(size: int | None) -> str | None:
    """Return a number of bytes exactly and with a unit; None stays None."""
    if size is None or size < 1024:
        return None if size is None else f"{size} bytes"
    return f"{size:,} bytes ({size_words(size)})"


def rate_words(bytes_per_second: float | None) -> str:
    """Return a rate with a binary unit."""
    return "-" if bytes_per_second is None else f"{size_words(bytes_per_second)}/s"


def time_words(seconds: float | None) -> str:
    """Return a span of time: `40 ms`, `4.5 s`, `45 s`, `3:20 min`, `2:05 h`, `6 h`."""
    if seconds is None:
        return "-"
    if 0 < seconds < 0.1:
        return f"{max(1, round(seconds * 1000))} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != whole else f"{whole} s"
    large, small = divmod(whole, 60) if whole < 3600 else divmod(whole // 60, 60)
    unit = "min" if whole < 3600 else "h"
    return f"{large}:{small:02} {unit}" if small else f"{large} {unit}"


def moment_words(document: dict[str, Any]) -> str:
    """Return what an import is doing this moment."""
    state = document["state"]
    if state == "queued":
        return "waiting in line"
    if state == "waiting":
        last = document["attempts"][-1]
        wait = f" in {time_words(last['wait_seconds'])}" if last["wait_seconds"] else ""
        return f"trying again{wait} ({last['code']})"
    words = _PHASES.get(document.get("phase") or "", str(state))
    percent = (document.get("target") or {}).get("percent")
    return f"{words} ({percent} %)" if percent is not None and document["phase"] == "delivering" else words


def count_words(count: int, what: str) -> str:
    """Return how many of something: `1 blob`, `2,000 blobs`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def notice_words(notice: dict[str, Any], *, is_ended: bool) -> str:
    """Return the state of the notification that an import has ended."""
    state, attempts, code = notice["state"], notice["attempts"], notice["code"]
    tries = count_words(attempts, "attempt")
    why = "" if code is None else ": " + " ".join(str(part) for part in (code, notice["status"]) if part)
    if state == "delivered":
        return "delivered" if attempts == 1 else f"delivered after {tries}"
    if state == "given-up":
        return f"given up after {tries}{why}"
    if not is_ended:
        return "when it has ended"
    return f"not yet, after {tries}{why}; tried again" if attempts else "under way"


def title_of(document: dict[str, Any]) -> str:
    """Return what to call an import: its name, or the last part of its URL's path."""
    name = document.get("name")
    if name:
        return str(name)
    path = str(document["url"]).partition("?")[0].rstrip("/")
    return path.rpartition("/")[2] or path


def limit_words(name: str, value: object) -> str:
    """Return a limit's value with the unit that its name ends in."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "none"
    if isinstance(value, int | float):
        if name.endswith("bytes_per_second"):
            return rate_words(value)
        if name.endswith("_bytes"):
            return size_words(value)
        return time_words(value) if name.endswith("_seconds") else f"{value:,}"
    return str(value)
