"""The API document explains itself: words for every part, and examples that are what is answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fetcher.api.app import build_app
from fetcher.api.openapi.descriptions import fields_of, table
from fetcher.api.openapi.document import api_document
from fetcher.api.openapi.examples import RECORDED, RECORDED_BASE
from fetcher.config import Current, load_settings
from tests.api.record_examples import VOLATILE, record

BYTES = "application/octet-stream"
FRESH = ".venv/bin/python -m tests.api.record_examples writes them anew"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of a service with its own configuration."""
    settings = load_settings()
    return api_document(build_app(Current(settings), None).routes, RECORDED_BASE, settings)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Find what is sent and answered: where, its media type, and its content."""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", media, content
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {}).items():
            yield status, media, content


def is_told(text: str) -> bool:
    """Return whether words say something: a capital or a code at the start, an end at the end."""
    return len(text) > 8 and text.strip()[-1] in ".)"


def test_every_operation_parameter_and_answer_is_described(document: dict[str, Any]) -> None:
    """A reader of the document needs no other source to call an operation."""
    silent: list[str] = []
    for name, operation in operations(document):
        silent += [name] * (not operation["summary"] or not is_told(operation["description"]))
        for parameter in operation["parameters"]:
            silent += [f"{name}: {parameter['name']}"] * (not is_told(parameter.get("description", "")))
        for status, answer in operation["responses"].items():
            silent += [f"{name}: {status}"] * (not is_told(answer["description"]))
    assert silent == []
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} == {
        tag["name"] for tag in document["tags"] if tag["description"]
    }


def test_every_field_is_described(document: dict[str, Any]) -> None:
    """No field of what is sent or answered is left to be guessed."""
    silent = [
        f"{name}.{field}"
        for name, component in document["components"]["schemas"].items()
        for field, schema in fields_of(component)
        if not schema.get("description")
    ]
    assert silent == []


def test_no_words_are_left_over(document: dict[str, Any]) -> None:
    """Words of an operation, field or code that is gone leave as well."""
    schemas = document["components"]["schemas"]
    fields = {(name, field) for name, schema in schemas.items() for field, _ in fields_of(schema)}
    fields |= {("any", field) for _, field in fields}
    words = {(name, field) for name, rows in table("fields").items() for field in rows}
    assert words - fields == set()
    told = {name.partition(".")[2] for name in document["components"]["examples"]}
    assert table("facts").keys() - told == set()
    summaries = {operation["summary"] for _, operation in operations(document)}
    rows = {row[0] for rows in table("operations").values() for row in rows.values()}
    assert rows == summaries


def test_every_operation_has_examples_that_fit(document: dict[str, Any]) -> None:
    """Each body that is text has an example, for every status; each holds to its schema."""
    lacking: list[str] = []
    for name, operation in operations(document):
        for where, media, content in contents(operation):
            found = [content["example"]] if "example" in content else []
            found += [
                document["components"]["examples"][one["$ref"].rpartition("/")[2]]["value"]
                for one in content.get("examples", {}).values()
            ]
            lacking += [f"{name}: {where}"] * (not found and media != BYTES)
            if "json" in media:
                schema = {**content["schema"], "components": document["components"]}
                for value in found:
                    jsonschema.Draft202012Validator(schema).validate(value)
        for parameter in operation["parameters"]:
            lacking += [f"{name}: {parameter['name']}"] * (
                parameter["in"] == "path" and "example" not in parameter
            )
    assert lacking == []


async def test_the_examples_are_what_a_service_answers(tmp_path: Path) -> None:
    """The requests of the examples, made again, are answered with the same status and the same fields."""
    kept = json.loads(RECORDED.read_text())
    made = await record(tmp_path)
    assert forms(made) == forms(kept), FRESH


def forms(value: Any) -> Any:
    """Return the form of a JSON value: names, and kinds of values."""
    if isinstance(value, dict):
        return {key: "figure" if key in VOLATILE else forms(one) for key, one in value.items()}
    if isinstance(value, list):
        return [forms(one) for one in value]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )
