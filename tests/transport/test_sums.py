"""Checksum files through the gate: row C04 of the attacks, and signatures."""

import hashlib
from pathlib import Path

import pysequoia
import pytest

from fetcher.config import BadConfig, Settings
from fetcher.errors import AddressForbidden, ChecksumFileUnusable, Failure, InvalidUrl
from fetcher.transport import Gate, SourceRequest, Sums, SumsRequest, fetch_sums
from tests.lab import Canary, FakeNames, Origin, lab_settings
from tests.lab.behaviours import chunked, drip, endless, redirect, serve
from tests.transport.attack import nothing_left

NAME = "cirros.img"
DIGEST = hashlib.sha256(b"a").hexdigest()
FILE = f"{DIGEST}  {NAME}\n".encode()


async def fetch(
    origin: Origin, settings: Settings, path: str = "/SHA256SUMS", signature: str | None = None
) -> Sums:
    """Fetch a checksum file from the lab."""
    apart = SourceRequest(url=origin.url(signature)) if signature else None
    wanted = SumsRequest(file=SourceRequest(url=origin.url(path)), name=NAME, signature=apart)
    async with nothing_left():
        try:
            return await fetch_sums(Gate(), wanted, settings, lambda _: None)
        finally:
            await origin.wait_idle()


async def test_digest_is_found() -> None:
    """Redirects are followed like anywhere else, and what vouches for the digest is told."""
    async with Origin({"/SHA256SUMS": redirect("/s"), "/s": serve(FILE)}) as origin:
        sums = await fetch(origin, lab_settings(origin))
    assert str(sums.digest) == f"sha256:{DIGEST}"
    assert (sums.verified_by, sums.signer) == ("sums", None)


async def test_headers_are_sent_to_their_origin() -> None:
    """A checksum file may need the same credentials as its image."""
    async with Origin({"/s": serve(FILE)}) as origin:
        file = SourceRequest(url=origin.url("/s"), headers={"Authorization": "Bearer x"})
        await fetch_sums(Gate(), SumsRequest(file=file, name=NAME), lab_settings(origin), lambda _: None)
    assert origin.requests[0].header("Authorization") == "Bearer x"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:{port}/s",
        "file:///etc/shadow",
        "http://localhost:{port}/s",
        "http://in.example:{port}/s",
    ],
)
async def test_c04_checksum_file_inside_is_refused(url: str) -> None:
    """The same gate and the same rules: another field of the submission is no way around."""
    async with Origin() as origin, Canary("127.0.0.2", origin.port) as bird:
        wanted = SumsRequest(file=SourceRequest(url=url.format(port=origin.port)), name=NAME)
        gate = Gate(FakeNames({"in.example": ["127.0.0.2"]}))
        with pytest.raises(Failure) as caught:
            await fetch_sums(gate, wanted, lab_settings(origin), lambda _: None)
        assert bird.accepted == 0
    assert isinstance(caught.value, AddressForbidden | InvalidUrl)


async def test_c04_size_is_limited() -> None:
    """At the limit passes, one past it fails; said or not, and before much has come."""
    at, past = FILE + b"#" * (1000 - len(FILE)), FILE + b"#" * (1001 - len(FILE))
    routes = {
        "/at": serve(at),
        "/past": serve(past),
        "/unsaid": chunked([past]),
        "/endless": endless(b"#" * 65536),
    }
    async with Origin(routes) as origin:
        settings = lab_settings(origin, sums={"max_bytes": 1000})
        assert (await fetch(origin, settings, "/at")).digest.value == DIGEST
        for path in ("/past", "/unsaid", "/endless"):
            with pytest.raises(ChecksumFileUnusable):
                await fetch(origin, settings, path)
        assert origin.sent_bytes < 20_000_000


async def test_c04_ten_gibibytes_are_refused_by_their_head() -> None:
    """Not a byte of the body is waited for."""

    async def huge(exchange) -> None:
        await exchange.send_head(200, {"Content-Length": 10 * 2**30})
        await exchange.wait_gone()

    async with Origin({"/SHA256SUMS": huge}) as origin:
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, lab_settings(origin))


async def test_c04_endless_drip_ends() -> None:
    """The file as a whole has its time, whatever comes in between."""
    async with Origin({"/SHA256SUMS": drip(FILE * 1000)}) as origin:
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, lab_settings(origin, sums={"total_seconds": 0.3}))


async def test_names_that_are_not_utf8_do_no_harm() -> None:
    """Other files in the list may have any name."""
    async with Origin({"/SHA256SUMS": serve(DIGEST[::-1].encode() + b"  \xff\xfe\n" + FILE)}) as origin:
        assert (await fetch(origin, lab_settings(origin))).digest.value == DIGEST


async def test_algorithms_are_the_operators_choice() -> None:
    """Only what verifies here is taken."""
    async with Origin({"/SHA256SUMS": serve(FILE)}) as origin:
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, lab_settings(origin, checksum={"accepted": ["sha512"]}))


class Signer:
    """Somebody with a key, whom the operator trusts or not."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = pysequoia.Tsk.generate(f"{name} <{name}@lab.example>")
        self.file = folder / f"{name}.pgp"
        self.file.write_bytes(bytes(self._key.extract_certificate()))
        self.fingerprint = self._key.extract_certificate().fingerprint

    def sign(self, text: bytes, mode: pysequoia.SignatureMode) -> bytes:
        """Sign a text."""
        return pysequoia.sign(self._key.signer(), text, mode=mode)


CLEAR, DETACHED = pysequoia.SignatureMode.CLEAR, pysequoia.SignatureMode.DETACHED


async def test_signed_file_is_told_as_such(tmp_path: Path) -> None:
    """In one piece or with the signature apart."""
    friend = Signer(tmp_path, "friend")
    routes = {
        "/clear": serve(friend.sign(FILE, CLEAR)),
        "/plain": serve(FILE),
        "/apart": serve(friend.sign(FILE, DETACHED)),
    }
    async with Origin(routes) as origin:
        settings = lab_settings(origin, sums={"keys": [str(friend.file)]})
        for sums in (
            await fetch(origin, settings, "/clear"),
            await fetch(origin, settings, "/plain", "/apart"),
        ):
            assert (sums.verified_by, sums.signer, sums.digest.value) == (
                "signed-sums",
                friend.fingerprint,
                DIGEST,
            )


async def test_signature_of_a_stranger_proves_nothing(tmp_path: Path) -> None:
    """The file counts as unsigned; where a signature is asked for, it does not count at all."""
    friend, stranger = Signer(tmp_path, "friend"), Signer(tmp_path, "stranger")
    routes = {
        "/clear": serve(stranger.sign(FILE, CLEAR)),
        "/plain": serve(FILE),
        "/apart": serve(stranger.sign(FILE, DETACHED)),
    }
    async with Origin(routes) as origin:
        settings = lab_settings(origin, sums={"keys": [str(friend.file)]})
        assert (await fetch(origin, settings, "/clear")).verified_by == "sums"
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, settings, "/plain", "/apart")
        strict = lab_settings(origin, sums={"keys": [str(friend.file)], "require_signature": True})
        for path in ("/clear", "/plain"):
            with pytest.raises(ChecksumFileUnusable):
                await fetch(origin, strict, path)


async def test_changed_text_is_not_what_was_signed(tmp_path: Path) -> None:
    """One digit changed, a line before, a line after: never `signed-sums` for what was not signed."""
    friend = Signer(tmp_path, "friend")
    clear = friend.sign(FILE, CLEAR)
    other = hashlib.sha256(b"evil").hexdigest().encode()
    changed = {
        "/digit": clear.replace(DIGEST.encode(), other),
        "/before": other + f"  {NAME}\n".encode() + clear,
        "/after": friend.sign(b"nothing\n", CLEAR) + other + f"  {NAME}\n".encode(),
        "/header": clear.replace(b"\n\n", b"\n" + other + f"  {NAME}\n\n".encode(), 1),
    }
    async with Origin(
        {path: serve(text) for path, text in changed.items()} | {"/apart": serve(friend.sign(b"x", DETACHED))}
    ) as origin:
        settings = lab_settings(origin, sums={"keys": [str(friend.file)]})
        for path in changed:
            try:
                sums = await fetch(origin, settings, path)
            except ChecksumFileUnusable:
                continue
            assert sums.verified_by == "sums" or sums.digest.value == DIGEST
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, settings, "/digit", "/apart")


@pytest.mark.parametrize("junk", [b"", b"junk", b"-----BEGIN PGP SIGNATURE-----\n", b"\xff" * 1000])
async def test_signatures_that_are_none_prove_nothing(junk: bytes, tmp_path: Path) -> None:
    """A library that parses hostile bytes may fail in any way; here that is one error."""
    friend = Signer(tmp_path, "friend")
    async with Origin({"/plain": serve(FILE), "/apart": serve(junk)}) as origin:
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, lab_settings(origin, sums={"keys": [str(friend.file)]}), "/plain", "/apart")


async def test_compressed_messages_are_not_opened(tmp_path: Path) -> None:
    """Other signed forms can hold a bomb; they are no checksum files."""
    friend = Signer(tmp_path, "friend")
    async with Origin({"/SHA256SUMS": serve(friend.sign(FILE, pysequoia.SignatureMode.INLINE))}) as origin:
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, lab_settings(origin, sums={"keys": [str(friend.file)]}))


async def test_unreadable_keys_are_told(tmp_path: Path) -> None:
    """A broken key trusts nobody."""
    broken = tmp_path / "broken.pgp"
    broken.write_bytes(b"junk")
    friend = Signer(tmp_path, "friend")
    async with Origin({"/SHA256SUMS": serve(friend.sign(FILE, CLEAR))}) as origin:
        with pytest.raises(ChecksumFileUnusable):
            await fetch(origin, lab_settings(origin, sums={"keys": [str(broken)]}))


def test_signature_without_keys_is_a_mistake(tmp_path: Path) -> None:
    """Asking for signatures and trusting nobody would refuse everything."""
    for bad in ({"require_signature": True}, {"keys": [str(tmp_path / "none")]}):
        with pytest.raises(BadConfig):
            lab_settings(sums=bad)
