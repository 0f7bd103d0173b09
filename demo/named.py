"""Images by name in the demo: a catalogue, a forged one, and the proof of where an image came from."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from images import sha256_of

RAW, PACKED = "raw", "appliance.raw.gz"
KEPT = ("--container-format", "compressed")  # As it came, like the exhibit of the same file.
TABLE = """
[[catalogue]]
name = "{name}"
kind = "simplestreams"
url = "http://127.0.0.1:{port}/{name}/streams/v1/index.{end}"
keys = [{keys}]
"""

Sign = Callable[[bytes], bytes]
Command = Callable[..., tuple[int, bytes]]


def publish(shelf: Path, folder: Path) -> None:
    """Put two catalogues on the source's shelf: one by its publisher, one that somebody forged."""
    publisher, forger = _signers(folder)
    digest = sha256_of(shelf / PACKED)
    _catalogue(shelf, "lab", digest, publisher)
    # Where signatures cannot be checked, the forgery is one of the digest.
    _catalogue(shelf, "forged", digest if forger is not publisher else "0" * 64, forger)


def tables(folder: Path, port: int) -> str:
    """Return what the operator's file says of both."""
    key = folder / "publisher.pgp"
    keys, end = (f'"{key}"', "sjson") if key.exists() else ("", "json")
    return "".join(TABLE.format(name=name, port=port, keys=keys, end=end) for name in ("lab", "forged"))


def show(folder: Path, command: Command, out: Callable[[str], None]) -> bool:
    """Pull by name, refuse a forgery, check where an image came from; True when all ends as it should."""

    def run(*arguments: str) -> int:
        return command(*arguments)[0]

    out("\n[bold cyan]An image by its name, out of a catalogue that its publisher signed")
    run("catalogue", "appliance")
    is_pulled = run("submit", "lab:1.0", "--name", "by name", *KEPT, "--wait") == 0
    out("\n[bold cyan]The same name in a catalogue that somebody forged")
    is_refused = run("submit", "forged:1.0", "--wait") != 0
    out("\n[bold cyan]Where the image came from, signed; checked without asking anybody")
    disk, proof, key = (folder / name for name in ("disk.img", "disk.att", "key.pem"))
    image = json.loads(command("images", "--name", "by name", "--json", is_shown=False)[1])["images"][0]["id"]
    key.write_bytes(command("keys", "show", is_shown=False)[1])
    run("images", "save", image, "-o", str(disk))
    run("images", "attestation", image, "-o", str(proof))
    is_proven = run("verify", str(disk), str(proof), "--key", str(key)) == 0
    with disk.open("r+b") as file:
        file.write(b"changed")
    is_found_out = run("verify", str(disk), str(proof), "--key", str(key)) == 10
    return is_pulled and is_refused and is_proven and is_found_out


def _signers(folder: Path) -> tuple[Sign, Sign]:
    """Return who signs the one and the other; without the package for it, nobody does."""
    if find_spec("pysequoia") is None:
        return bytes, bytes
    import pysequoia

    def signer(name: str) -> tuple[Sign, bytes]:
        key = pysequoia.Tsk.generate(f"{name} <{name}@demo.example>")
        mode = pysequoia.SignatureMode.CLEAR
        return lambda text: pysequoia.sign(key.signer(), text, mode=mode), bytes(key.extract_certificate())

    (publisher, certificate), (forger, _other) = signer("publisher"), signer("forger")
    (folder / "publisher.pgp").write_bytes(certificate)
    return publisher, forger


def _catalogue(shelf: Path, name: str, digest: str, sign: Sign) -> None:
    end = "json" if sign is bytes else "sjson"
    place = shelf / name / "streams" / "v1"
    place.mkdir(parents=True)
    (shelf / name / PACKED).symlink_to(shelf / PACKED)
    item = {"ftype": RAW, "path": PACKED, "sha256": digest}
    product = {
        "os": name,
        "version": "1.0",
        "arch": "amd64",
        "release_title": "1.0 appliance",
        "support_eol": "2035-01-01",
        "versions": {"20260401": {"items": {"disk": item}}},
    }
    row = {"format": "products:1.0", "datatype": "image-downloads", "path": f"streams/v1/products.{end}"}
    documents = {
        "index": {"format": "index:1.0", "index": {"demo": row}},
        "products": {"format": "products:1.0", "products": {"demo": product}},
    }
    for file, document in documents.items():
        (place / f"{file}.{end}").write_bytes(sign(json.dumps(document).encode()))
