"""Commands on signed statements: check a file against one, save one, show and rotate the keys."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fetcher.attest import KeyFolder, PublicKey, read_envelope, read_public_keys, read_statement
from fetcher.attest.dsse import MAX_ENVELOPE_BYTES
from fetcher.attest.statement import STRONG, Statement
from fetcher.cli.choices import AsJson, ConfigFile, Server
from fetcher.cli.client import segment
from fetcher.cli.exits import CommandFailed, Exit
from fetcher.cli.ids import IMAGES
from fetcher.cli.screen import Screen
from fetcher.cli.server.images import find
from fetcher.cli.server.saving import check_new

CHUNK_BYTES = 1_048_576

Keys = Annotated[tuple[Path, ...], Parameter(name="--key", negative="")]


def verify(
    file: Path, attestation: Path, *, key: Keys = (), config: ConfigFile = None, json: AsJson = False
) -> Exit:
    """Check that a file is what a signed statement says, by its digest, signature and key; offline.

    The exit code is 0 where all three hold, 3 where no trusted key signed, 10 where the bytes are others.

    Args:
        file: The downloaded image.
        attestation: The statement, as `fetcher images attestation` saves it.
        key: A file with public keys (PEM) that are trusted; may be given several times. Without it, those of
            the store on this machine.
        config: The operator's file, laid over `config.toml` key by key; says where the store is.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    trusted = _trusted(key, config)
    with attestation.open("rb") as opened:
        envelope = read_envelope(opened.read(MAX_ENVELOPE_BYTES + 1))
    payload, signer = envelope.open(trusted)
    signed = read_statement(envelope.payloadType, payload)
    digests = _digests(file)
    subject = signed.subject_with(digests)
    if subject is None:
        raise CommandFailed(
            Exit.DAMAGED,
            code="digest-mismatch",
            detail=f"{file} is not what was signed: its sha256 is {digests['sha256']}.",
            advice="Download the image again; if it ends the same, the bytes were changed on the way.",
        )
    summary = _summary(signed, subject.name, signer, digests)
    if screen.as_json:
        screen.json(summary)
    else:
        screen.facts([("file", file), *summary.items()])
    return Exit.OK


def _trusted(files: tuple[Path, ...], config: Path | None) -> list[PublicKey]:
    """Return the keys that count.

    Raises:
        CommandFailed: There is none.
    """
    if files:
        return [key for file in files for key in read_public_keys(file.read_bytes())]
    from fetcher.config import data_folder, load_settings

    keys = KeyFolder.of(data_folder(load_settings(config), config)).known()
    if not keys:
        raise CommandFailed(
            Exit.USAGE,
            code="usage",
            detail="No key says whose signature counts, and the store on this machine has none.",
            advice="Save the server's key once, from SERVER/keys/current, and name the file with --key.",
        )
    return [key.public for key in keys]


def _digests(file: Path) -> dict[str, str]:
    made = {name: hashlib.new(name) for name in STRONG}
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            for digest in made.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in made.items()}


def _summary(signed: Statement, name: str, signer: PublicKey, digests: dict[str, str]) -> dict[str, Any]:
    """Return what the statement says, as far as people ask for it; its other texts may be anything."""
    definition = _table(signed.predicate.get("buildDefinition"))
    dependencies = definition.get("resolvedDependencies")
    material = _table(dependencies[0]) if isinstance(dependencies, list) and dependencies else {}
    builder = _table(_table(signed.predicate.get("runDetails")).get("builder"))
    return {
        "image": name,
        "sha256": digests["sha256"],
        "source": str(material.get("uri", "")) or None,
        "verified_by": str(_table(material.get("annotations")).get("verified_by", "")) or None,
        "builder": str(builder.get("id", "")) or None,
        "key": signer.key_id,
    }


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def attestation(
    id: str,  # noqa: A002 - the name that the reference shows
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Save the signed statement of where an image came from.

    Args:
        id: Of the image, or its first characters.
        output: The file, which must not exist yet.
    """
    client, screen = server.client(), server.screen()
    check_new(output)
    image = find(client, id)
    with client.body(f"{IMAGES}/{segment(image['id'])}/attestation", {}) as answer:
        text = answer.read(MAX_ENVELOPE_BYTES + 1)
    read_envelope(text)
    with output.open("xb") as file:
        file.write(text)
    if screen.as_json:
        screen.json({"image": image["id"], "file": str(output)})
    else:
        screen.say(f"Check the image's bytes with: fetcher verify FILE {output} --key KEY", "dim")
        screen.line(output)
    return Exit.OK


def show_keys(*, server: Server = Server()) -> Exit:  # noqa: B008 - frozen
    """Print the public keys of a server, the newest first."""
    screen = server.screen()
    document = server.client().get("/keys")
    if screen.as_json:
        screen.json(document)
        return Exit.OK
    for key in document["keys"]:
        facts = [(name, key[name]) for name in ("key_id", "algorithm", "created_at", "retired_at")]
        screen.facts([(name.replace("_", " "), value) for name, value in facts], to_err=True)
        _print_pem(screen, key["pem"])
    return Exit.OK


def rotate_key(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Make a new signing key in the store's folder; a server may run, and signs with it at once.

    The old private key is gone; what it signed can still be checked with its public key, which is kept.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    from fetcher.config import data_folder, load_settings

    screen = Screen(as_json=json)
    made = KeyFolder.of(data_folder(load_settings(config), config)).rotate()
    if screen.as_json:
        screen.json({"key_id": made.key_id, "pem": made.pem})
    else:
        screen.say(f"Statements are signed with {made.key_id} from now on.")
        _print_pem(screen, made.pem)
    return Exit.OK


def _print_pem(screen: Screen, pem: str) -> None:
    """Print a key so that standard output alone is a file for --key."""
    for line in pem.splitlines():
        screen.line(line)
