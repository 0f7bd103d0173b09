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

from fetcher.api.auth.identity import hash_token
from fetcher.api.openapi.document import FOR_PEOPLE, operation_of, plain_path
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

ROOT = Path(__file__).parent.parent.parent
OWN = ("/imports", "/limits", "/errors", "/healthz", "/readyz", "/metrics")
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "ignored_auth"),
)
# Thirty filters, each at its limits, would be half of the time.
CONFIG = """[[operations]]
include-name = "GET /v2/images"
phases.coverage.enabled = false
"""
TOKENS = {
    "mode": "tokens",
    "tokens": [{"sha256": hash_token("hush"), "project": "acme", "user": "me", "roles": ["member", "admin"]}],
}


def check(document: dict[str, Any], name: str, value: Any) -> None:
    """Hold an answer against its schema, which allows nothing beside what it names."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


async def test_the_document_is_valid_and_complete(tmp_path: Path) -> None:
    """Every route of the API is in it with its answers, pages for people are not."""
    async with Running(tmp_path) as service:
        document = await service.get("/openapi.json")
        routes = [route for route in service.service.app.routes if isinstance(route, Route)]
    OpenAPIV31SpecValidator(document).validate()
    for route in routes:
        is_page = route.path.startswith(FOR_PEOPLE)
        assert (plain_path(route) in document["paths"]) is not is_page, route.path
        if not is_page:
            assert operation_of(route).answers or route.path == "/v2/tasks", route.path
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


@pytest.mark.timeout(1200)  # Thousands of requests; a slow machine is no finding.
@pytest.mark.parametrize(
    ("paths", "examples"),
    [
        (f"^({'|'.join(OWN)}|/openapi.json)", 6),
        ("^/v2/images", 4),
        ("^/(v2(?!/images|/metadefs)|versions|healthcheck|$)", 4),
        ("^/v2/metadefs/[^{]*({namespace})?$", 2),
        ("^/v2/metadefs/.*/(properties|resource_types)", 2),
        ("^/v2/metadefs/.*/(objects|tags)", 2),
    ],
    ids=["own", "images", "v2", "namespaces", "properties", "objects"],
)
async def test_nothing_thrown_at_it_is_answered_otherwise(tmp_path: Path, paths: str, examples: int) -> None:
    """Schemathesis makes requests from the document, with a token and without: every answer is one it names.

    Only port 9 may be fetched from, so that no made-up URL leads anywhere. A
    hook puts ids of real images and imports in place of some made-up ones.
    """
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/p": behaviours.serve(HTML)}) as origin,
        Running(tmp_path, origin, url={"ports": [9]}, auth=TOKENS) as service,
    ):
        ids = await furnish(service, origin)
        (tmp_path / "schemathesis.toml").write_text(CONFIG)
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{service.base}/openapi.json"),
            *(
                "--checks",
                ",".join(CHECKS),
                "--phases",
                "examples,coverage,fuzzing",
                "--header",
                "X-Auth-Token:hush",
            ),
            *("--max-examples", str(examples), "--seed", "1", "--workers", "1", "--request-timeout", "120"),
            *("--include-path-regex", paths, "--suppress-health-check", "all"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
            env={
                **os.environ,
                **ids,
                "NO_COLOR": "1",
                "SCHEMATHESIS_HOOKS": "tests.api.real_ids",
                "PYTHONPATH": str(ROOT),
            },
        )
        try:
            out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0, out.decode()[-6000:]
    assert b" passed" in out, out.decode()[-2000:]
    assert b"unsupported" not in out.lower(), out.decode()[-2000:]


async def furnish(service: Running, origin: Origin) -> dict[str, str]:
    """Make images of all kinds, and imports that ended well and badly; their ids by kind."""
    headers = {"X-Auth-Token": "hush"}
    found: dict[str, list[str]] = {"images": [], "imports": []}
    for number in range(12):
        body = {"url": origin.url("/d" if number % 4 else "/p"), "disk_format": "qcow2", "tags": ["a"]}
        _, created, _ = await service.call("POST", "/imports", json=body, headers=headers)
        found["imports"].append(created["id"])
        async with asyncio.timeout(30):
            while created["ended_at"] is None:
                created = await service.get(f"/imports/{created['id']}", headers=headers)
        if created["state"] == "succeeded":
            found["images"].append(created["image_id"])
        fields = {
            "name": "empty",
            "protected": bool(number % 2),
            "disk_format": "raw",
            "container_format": "bare",
        }
        _, image, _ = await service.call("POST", "/v2/images", json=fields, headers=headers)
        found["images"].append(image["id"])
        path = f"/v2/images/{image['id']}/members"
        assert (await service.call("POST", path, json={"member": "friend"}, headers=headers))[0] == 200
    found["members"] = ["friend"]
    definitions = {"namespace": "Real", "visibility": "public", "tags": [{"name": "a"}]}
    status, document, _ = await service.call(
        "POST", "/v2/metadefs/namespaces", json=definitions, headers=headers
    )
    assert status == 201, document
    return {f"FETCHER_{kind.upper()}": ",".join(ids) for kind, ids in found.items()}
