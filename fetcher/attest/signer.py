"""The signer: the key in the store's folder, or a command of the operator's that asks a key service."""

import asyncio
import base64
import binascii
from pathlib import Path
from typing import Protocol

import structlog

from fetcher.attest.folder import KeyFolder
from fetcher.attest.keys import PublicKey, read_public_keys
from fetcher.config import Settings
from fetcher.errors import AttestationInvalid, AttestationUnavailable

log = structlog.get_logger()

MAX_ANSWER_BYTES = 16_384


class Signer(Protocol):
    """Signs bytes."""

    async def key_id(self) -> str:
        """Name the key that signs now."""

    async def sign(self, text: bytes) -> bytes:
        """Return the signature on a text.

        Raises:
            AttestationUnavailable: It cannot be had now.
        """


class FolderSigner:
    """Signs with the store's own key."""

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder

    async def key_id(self) -> str:
        """Name the key, which is made where there is none."""
        key = await asyncio.to_thread(self._folder.signing_key)
        public = PublicKey(key.public_key())
        await asyncio.to_thread(self._folder.remember, public)  # Also one that an operator put there.
        return public.key_id

    async def sign(self, text: bytes) -> bytes:
        """Sign a text."""
        return (await asyncio.to_thread(self._folder.signing_key)).sign(text)


class CommandSigner:
    """Signs by a command, which gets the text on standard input and prints the signature in base64.

    What it prints is checked with its public key before anybody gets it.
    """

    def __init__(self, folder: KeyFolder, command: list[str], public_key: Path, seconds: float) -> None:
        self._folder = folder
        self._command = command
        self._public_key = public_key
        self._seconds = seconds

    async def _key(self) -> PublicKey:
        try:
            key = read_public_keys(await asyncio.to_thread(self._public_key.read_bytes))[0]
        except (OSError, AttestationInvalid) as error:
            raise AttestationUnavailable(reason="attestation.sign_public_key cannot be read") from error
        await asyncio.to_thread(self._folder.remember, key)
        return key

    async def key_id(self) -> str:
        """Name the key that the command signs with."""
        return (await self._key()).key_id

    async def sign(self, text: bytes) -> bytes:
        """Run the command."""
        printed = await self._run(text)
        try:
            signature = base64.b64decode(b"".join(printed.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise AttestationUnavailable(reason="the signing command printed no base64") from error
        if not (await self._key()).verifies(signature, text):
            raise AttestationUnavailable(reason="the signing command signed with another key")
        return signature

    async def _run(self, text: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        try:
            running = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            raise AttestationUnavailable(reason="the signing command cannot be run") from error
        try:
            async with asyncio.timeout(self._seconds):
                printed, _nothing = await running.communicate(text)
        except TimeoutError as error:
            raise AttestationUnavailable(
                reason=f"the signing command took longer than {self._seconds:g} seconds"
            ) from error
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        if running.returncode != 0 or len(printed) > MAX_ANSWER_BYTES:
            raise AttestationUnavailable(reason=f"the signing command ended with {running.returncode}")
        return printed


def signer_of(settings: Settings, folder: KeyFolder) -> Signer:
    """Return who signs by the settings in force."""
    rules = settings.attestation
    if not rules.sign_command:
        return FolderSigner(folder)
    return CommandSigner(folder, rules.sign_command, Path(rules.sign_public_key), rules.sign_seconds)
