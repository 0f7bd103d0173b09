"""A client that a generator makes from the API document works as it is."""

import asyncio
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

# Other forms of the same bodies; the generator leaves them out and says so.
LEFT_OUT = {
    "application/openstack-images-v2.0-json-patch",
    "application/metalink4+xml",
    "application/x-pem-file",
}
PROGRAM = Path(sys.executable).with_name("openapi-python-client")

# What docs/api.md tells to give to the generator, which does not know the media type of a patch.
SETTINGS = """project_name_override: made
package_name_override: made_client
post_hooks: []
content_type_overrides:
  application/openstack-images-v2.1-json-patch: application/json
"""


def generate(document: bytes, folder: Path) -> str:
    """Generate a client; returns what the generator said."""
    (folder / "openapi.json").write_bytes(document)
    (folder / "settings.yml").write_text(SETTINGS)
    done = subprocess.run(
        [PROGRAM, "generate", "--path", "openapi.json", "--config", "settings.yml", "--meta", "none"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the generated client."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"made_client.{name}")

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == "made_client"]:
        del sys.modules[name]


async def test_a_generated_client_submits_follows_and_patches(tmp_path: Path, found: Any) -> None:
    """Types, paths and bodies of the document are enough for a program that has never seen this service."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        async with service.client.get("/openapi.json") as answer:
            document = await answer.read()
        said = await asyncio.to_thread(generate, document, tmp_path)
        left_out = re.findall(r"Unsupported content[ _]type ([^ ,)\n]+)", said)
        assert set(left_out) == LEFT_OUT
        assert said.count("WARNING") == len(left_out)
        models = found("models")
        client = found("client").Client(base_url=service.base, raise_on_unexpected_status=True)
        async with client:
            await drive(client, models, found, origin.url("/d"))


async def drive(client: Any, models: ModuleType, found: Any, url: str) -> None:
    """Submit, follow to the end, find the image, and rename it."""
    body = models.SubmitBody(url=url, name="disk", disk_format=models.SubmitBodyDiskFormatType0.QCOW2)
    created = await found("api.imports.post_imports").asyncio(client=client, body=body)
    assert created.state == models.State.QUEUED
    stream = await found("api.imports.get_imports_id_events").asyncio(created.id, client=client)
    assert "event: end" in stream
    ended = await found("api.imports.get_imports_id").asyncio(created.id, client=client)
    assert (ended.state, ended.verdict.code) == (models.State.SUCCEEDED, "ok")
    change = models.PatchItem(op=models.PatchItemOp.REPLACE, path="/name", value="server")
    changed = await found("api.image_api_v_2.patch_v2_images_id").asyncio(
        ended.image_id, client=client, body=[change]
    )
    assert (changed.name, changed.status) == ("server", models.ImageStatus.ACTIVE)
    problem = await found("api.imports.get_imports_id").asyncio("nope", client=client)
    assert (problem.status, problem.code) == (404, "unknown-import")
