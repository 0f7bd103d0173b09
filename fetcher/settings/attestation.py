"""Signing of statements on images."""

from collections.abc import Iterator

from fetcher.settings.base import Mistake, Seconds, Section, unreadable


class Attestation(Section, frozen=True, kw_only=True):
    """Signed statements of where images came from."""

    builder_id: str
    sign_command: list[str]
    sign_public_key: str
    sign_seconds: Seconds

    def mistakes(self) -> Iterator[Mistake]:
        """Find a command whose signatures nobody could check."""
        if bool(self.sign_command) != bool(self.sign_public_key):
            expected = "a value for both of sign_command and sign_public_key, or for none"
            yield Mistake(key="attestation.sign_command", value=str(self.sign_command), expected=expected)
        if self.sign_public_key:
            yield from unreadable("attestation.sign_public_key", [self.sign_public_key])
