"""A sender is one file and one registration; nothing else in the service knows it by name."""

from pathlib import Path

import msgspec
import pytest

from fetcher.config import Settings
from fetcher.exporter.senders import registry
from fetcher.exporter.senders.base import AcceptedReceiver, ReadBackRequest, SendJob
from fetcher.index.values import ExportOptions, ReceiverSecrets
from fetcher.start.command import main
from tests.exporter.receiver import Receiver
from tests.exporter.test_put import IMAGE, ended, push, sending


class Drawer(registry.SignedPut):
    """Sends to `drawer://PORT/NAME`, by a PUT to this machine."""

    name = "drawer"
    form = "drawer://PORT/NAME"

    def is_for(self, secrets: ReceiverSecrets) -> bool:
        """Take its own URLs alone."""
        return secrets.url.startswith("drawer://")

    def take(self, secrets: ReceiverSecrets, options: ExportOptions, settings: Settings) -> AcceptedReceiver:
        """Make of the URL one of http."""
        url = "http://127.0.0.1:" + secrets.url.removeprefix("drawer://")
        taken = super().take(msgspec.structs.replace(secrets, url=url), options, settings)
        return msgspec.structs.replace(taken, shown=secrets.url)

    async def to_read(self, job: SendJob) -> ReadBackRequest | str:
        """Give nothing back."""
        return f"nothing is read back from {job.export.receiver}"


async def test_a_toy_sender_works_from_the_submission_to_the_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registered, it takes its own URLs, the receiver gets the bytes, and the export names both."""
    monkeypatch.setattr(registry, "SENDERS", (Drawer(), *registry.SENDERS))
    async with (
        Receiver() as receiver,
        sending(tmp_path, receiver, kinds=["drawer"]) as (service, image_id),
    ):
        url = f"drawer://{receiver.port}/disk"
        export = await push(service, image_id, url)
        assert export["receiver"] == url
        done = await ended(service, export["id"])
        assert (done["state"], done["verdict"]["code"]) == ("succeeded", "ok")
        assert receiver.taken == {"/disk": IMAGE}


def test_a_kind_that_nothing_sends_to_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kinds that the operator may allow are those that are registered, and no others."""
    config = tmp_path / "own.toml"
    config.write_text('[exports]\nkinds = ["put", "drawer"]\n')
    assert main(["--config", str(config), "--check-config"]) == 2
    told = capsys.readouterr().err
    assert 'exports.kinds = "drawer"' in told
    assert all(sender.name in told for sender in registry.SENDERS)
    monkeypatch.setattr(registry, "SENDERS", (Drawer(), *registry.SENDERS))
    assert main(["--config", str(config), "--check-config"]) == 0
