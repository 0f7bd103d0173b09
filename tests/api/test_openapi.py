"""The API document is complete, valid, and true: what it says is what is answered."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from fetcher.api.openapi import OPERATIONS, plain_path
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

OWN = ("/imports", "/limits", "/errors", "/healthz", "/readyz", "/metrics")
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "negative_data_rejection"),
)


def check(document: dict[str, Any], name: str, value: Any) -> None:
    """Hold an answer against its schema, which allows nothing beside what it names."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


async def test_the_document_is_valid_and_complete(tmp_path: Path) -> None:
    """Every route of the API is in it, pages for people are not, and all of our own have their answers."""
    async with Running(tmp_path) as service:
        document = await service.get("/openapi.json")
        routes = [route for route in service.service.app.routes if isinstance(route, Route)]
    OpenAPIV31SpecValidator(document).validate()
    for route in routes:
        is_page = route.path.startswith("/page/")
        assert (plain_path(route) in document["paths"]) is not is_page, route.path
        if route.path.startswith(OWN):
            assert route.endpoint in OPERATIONS, route.path
    identifiers = [
        operation["operationId"] for path in document["paths"].values() for operation in path.values()
    ]
    assert len(set(identifiers)) == len(identifiers)
    assert all(operation["summary"] for path in document["paths"].values() for operation in path.values())


async def test_answers_are_what_the_document_says(tmp_path: Path) -> None:
    """Each shape of answer, from a real service, with nothing that the document does not name."""
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/p": behaviours.serve(HTML)}) as origin,
        Running(tmp_path, origin, server={"page_items": 1}) as service,
    ):
        document = await service.get("/openapi.json")
        created = await service.submit(url=origin.url("/d"), disk_format="qcow2")
        good = await service.ended(created["id"])
        bad = await service.run(url=origin.url("/p"))
        for one in (created, good, bad):
            check(document, "ImportAnswer", one)
        listed = await service.get("/imports")
        assert "next" in listed
        check(document, "ImportsAnswer", listed)
        check(document, "LimitsAnswer", await service.get("/limits"))
        check(document, "CodesAnswer", await service.get("/errors"))
        check(document, "CodeAnswer", await service.get("/errors/format-unsafe"))
        check(document, "HealthAnswer", await service.get("/healthz"))
        check(document, "ReadyAnswer", await service.get("/readyz"))
        check(document, "OptionsAnswer", (await service.call("OPTIONS", "/imports"))[1])
        check(document, "Problem", (await service.call("GET", "/imports/nope"))[1])


@pytest.mark.parametrize(
    ("paths", "checks", "examples"),
    [(f"^({'|'.join(OWN)})", CHECKS, 8), ("^/(v2|versions|$)", CHECKS[:1], 4)],
)
async def test_nothing_thrown_at_it_breaks_the_service(
    tmp_path: Path, paths: str, checks: tuple[str, ...], examples: int
) -> None:
    """Schemathesis makes requests from the document: no 5xx, and of our own API no undocumented answer.

    Only port 9 may be fetched from, so that no made-up URL leads anywhere.
    """
    async with Running(tmp_path, url={"ports": [9], "schemes": ["https"]}) as service:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{service.base}/openapi.json"),
            *("--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(examples), "--seed", "1", "--workers", "1", "--request-timeout", "10"),
            *("--include-path-regex", paths),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
        )
        async with asyncio.timeout(100):
            out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()[-6000:]
    assert b" passed" in out, out.decode()[-2000:]
