"""Examples of the API document: answers of a real service, kept in a file, and one of each error code."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from fetcher.api.image_v2.faults import fault_document
from fetcher.api.openapi.descriptions import table
from fetcher.api.problems import advice_of, detail_of, problem_document
from fetcher.errors import Failure

RECORDED_BASE = "http://127.0.0.1:9292"  # Where the service stands in the file.
RECORDED = Path(__file__).with_name("examples.json")
REQUEST_ID = "req-5b2b6a3e-3c0e-4d59-9f0e-3a6a5f0f7c21"


@cache
def recorded(base: str) -> dict[str, dict[str, Any]]:
    """Return what was sent and answered, by method and path: `path`, `request` and `responses` by status.

    `python -m tests.api.record_examples` writes the file.

    Args:
        base: Where links in the answers are to lead.
    """
    text = RECORDED.read_text() if RECORDED.exists() else "{}"
    found: dict[str, dict[str, Any]] = json.loads(text.replace(RECORDED_BASE, base))
    return found


def of_failure(kind: type[Failure], base: str, *, is_v2: bool) -> dict[str, Any]:
    """Return what a request is answered with that ends so."""
    failure = kind(**table("facts").get(kind.code, {})).public()
    if is_v2:
        return fault_document(failure, f"{detail_of(failure)} {advice_of(failure)}", REQUEST_ID)
    return problem_document(failure, base, "/imports", REQUEST_ID)
