"""Settings under which the lab can be reached, and nothing else on loopback."""

from typing import Any

from fetcher.config import Settings, load_settings
from tests.lab.origin import Origin


def lab_settings(*origins: Origin, **sections: dict[str, Any]) -> Settings:
    """Open the address and port of each origin; all else stays as it ships, but for what is given.

    Times are shortened so that a test of silence takes no half minute; give
    `pace={...}` to say otherwise.
    """
    allow = [
        {"cidr": f"{origin.host}/{128 if ':' in origin.host else 32}", "ports": [origin.port]}
        for origin in origins
    ]
    changes: dict[str, dict[str, Any]] = {
        "address": {"allow": allow},
        "imports": {"max_connections_per_address": 1000},  # All of the lab lives at a few addresses.
        "pace": {
            "unreachable_step_seconds": 0.0,
            "idle_seconds": 5.0,
            "header_seconds": 5.0,
            "connect_seconds": 5.0,
        },
    }
    for name, section in sections.items():
        changes[name] = changes.get(name, {}) | section
    return load_settings(changes=changes)
