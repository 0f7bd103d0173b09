"""Signed statements of where images came from: keys, envelopes, statements; no network."""

from fetcher.attest.dsse import Envelope, read_envelope, seal
from fetcher.attest.folder import KeyFolder, KnownKey
from fetcher.attest.keys import PublicKey, read_public_keys
from fetcher.attest.prompt import PromptSigner
from fetcher.attest.signer import CommandSigner, FolderSigner, Signer, signer_of
from fetcher.attest.statement import PAYLOAD_TYPE, PREDICATE_TYPE, read_statement, statement

__all__ = [
    "PAYLOAD_TYPE",
    "PREDICATE_TYPE",
    "CommandSigner",
    "Envelope",
    "FolderSigner",
    "KeyFolder",
    "KnownKey",
    "PromptSigner",
    "PublicKey",
    "Signer",
    "read_envelope",
    "read_public_keys",
    "read_statement",
    "seal",
    "signer_of",
    "statement",
]
