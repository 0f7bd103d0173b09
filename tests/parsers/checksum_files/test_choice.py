"""Checksum files in all their shapes, and in the shapes that lie: rows C04 and C09 of the attacks."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.config import load_settings
from fetcher.errors import ChecksumFileUnusable
from fetcher.guards.request.checksum_file import limits
from fetcher.parsers.checksum_files import find_digest

NAME = "cirros.img"
A = hashlib.sha256(b"a").hexdigest()
B = hashlib.sha256(b"b").hexdigest()
A384 = hashlib.sha384(b"a").hexdigest()
A512 = hashlib.sha512(b"a").hexdigest()

FEDORA = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# Fedora-Cloud.qcow2: 1 bytes
SHA256 (other.qcow2) = {B}
SHA256 ({NAME}) = {A}
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEE
-----END PGP SIGNATURE-----
"""


@pytest.mark.parametrize(
    "text",
    [
        f"{A}  {NAME}\n",
        f"{A} *{NAME}\n",
        f"{A.upper()}  {NAME}",
        f"{A}  ./{NAME}\r\n{B}  other\r\n",
        f"# a comment\n\n{B}  other.img\n{A}  {NAME}\n",
        f"SHA256 ({NAME}) = {A}\n",
        f"SHA256({NAME})= {A}\n",
        f"SHA2-256({NAME})= {A}\n",
        f"MD5 ({NAME}) = {'0' * 32}\nSHA1 ({NAME}) = {'0' * 40}\nSHA256 ({NAME}) = {A}\n",
        f"{'0' * 32}  {NAME}\n{A}  {NAME}\n",
        A,
        f"{A}\n",
        f"  {A} \n\n",
        f"{A}  {NAME}\n{A}  {NAME}\n",
        FEDORA,
        FEDORA.replace("\n", "\r\n"),
        FEDORA.replace(f"SHA256 ({NAME}) = {A}", f"{A}  {NAME}"),
        f"{A}  {NAME}\n{B}  {NAME}.sig\n{B}  x{NAME}\n{B}  {NAME[:-1]}\n{B}  dir/{NAME}\n",
    ],
)
def test_shapes_of_checksum_files(text: str) -> None:
    """What coreutils, OpenSSL, BSD, Fedora, Debian, Ubuntu and openSUSE write."""
    assert str(find_digest(text, NAME)) == f"sha256:{A}"


@pytest.mark.parametrize(("value", "algorithm"), [(A384, "sha384"), (A512, "sha512")])
def test_length_tells_the_algorithm(value: str, algorithm: str) -> None:
    """A plain line has no other clue."""
    assert str(find_digest(f"{value}  {NAME}", NAME)) == f"{algorithm}:{value}"
    assert str(find_digest(f"{algorithm.upper()} ({NAME}) = {value}", NAME)) == f"{algorithm}:{value}"


def test_strongest_of_several_is_taken() -> None:
    """A file may give more than one; the order does not matter."""
    lines = [f"{A}  {NAME}", f"{A512}  {NAME}", f"{A384}  {NAME}"]
    assert find_digest("\n".join(lines), NAME).algorithm == "sha512"
    assert find_digest("\n".join(reversed(lines)), NAME).algorithm == "sha512"
    assert find_digest("\n".join(lines), NAME, accepted=["sha256", "sha384"]).algorithm == "sha384"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n#\n",
        "<html><body>404</body></html>",
        f"{A}  other.img\n",
        f"{A}\n{B}\n",
        f"{A}x  {NAME}\n",
        f"{A[:-1]}  {NAME}\n",
        f"0x{A}  {NAME}\n",
        f"{'0' * 32}  {NAME}\n",
        f"{'0' * 40}  {NAME}\n",
        f"MD5 ({NAME}) = {A}\n",
        f"BLAKE2b ({NAME}) = {A512}\n",
        f"SHA512 ({NAME}) = {A}\n",
        f"SHA256 ({NAME}) = {A512}\n",
        f"{A}  {NAME}\x0b\n",
        f"x\u2028{A}  {NAME}",
        f"{A}  cirros?img\n{A}  .*\n{A}  *\n",
        f"#{A}  {NAME}\n",
    ],
)
def test_files_without_a_digest_for_the_name_are_refused(text: str) -> None:
    """Nothing near it counts: no other name, no weaker algorithm, no half digest."""
    with pytest.raises(ChecksumFileUnusable):
        find_digest(text, NAME)


@pytest.mark.parametrize(
    "text",
    [
        f"{A}  {NAME}\n{B}  {NAME}\n",
        f"{A}  {NAME}\nSHA256 ({NAME}) = {B}\n",
        f"{A}  {NAME}\n{B}  ./{NAME}\n",
        f"{A512}  {NAME}\n{A}  {NAME}\n{B}  {NAME}\n",
    ],
)
def test_c04_two_digests_for_one_name_are_refused(text: str) -> None:
    """The file contradicts itself, also where a stronger digest stands beside."""
    with pytest.raises(ChecksumFileUnusable):
        find_digest(text, NAME)


@pytest.mark.parametrize(
    "text",
    [
        f"{A}  {NAME}\n{FEDORA}",
        FEDORA.replace("-----BEGIN PGP SIGNATURE-----", ""),
        FEDORA.replace("\n\n", "\n"),
        FEDORA.replace("Hash: SHA256", f"Hash: SHA256\n{B}  {NAME}"),
        FEDORA.replace("Hash: SHA256", f"Comment: {B}  {NAME}"),
        FEDORA.replace("# Fedora", "-----BEGIN PGP SIGNED MESSAGE-----\n# Fedora"),
    ],
)
def test_c04_text_around_a_signed_text_is_refused(text: str) -> None:
    """What stands outside is not what was signed, so the file is not what it looks like."""
    with pytest.raises(ChecksumFileUnusable):
        find_digest(text, NAME)


def test_c04_text_after_the_signature_counts_for_nothing() -> None:
    """Only what stands before the signature is the file."""
    with pytest.raises(ChecksumFileUnusable):
        find_digest(FEDORA.replace(NAME, "x") + f"{A}  {NAME}\n", NAME)


def test_dashes_are_unescaped_in_signed_text() -> None:
    """RFC 9580 puts a dash and a blank before lines that begin with a dash."""
    text = FEDORA.replace(f"SHA256 ({NAME}) = {A}", f"- -\n- {A}  {NAME}")
    assert find_digest(text, NAME).value == A


@pytest.mark.parametrize(
    "name", ["a\\b", "a\nb", "a\rb", "\\", "a\\nb", "\u00fc.img", "a b  c", "(x) = y", "-x"]
)
@pytest.mark.parametrize("style", [[], ["--tag"], ["--binary"]])
def test_what_coreutils_writes_is_read(tmp_path: Path, name: str, style: list[str]) -> None:
    """Escaped names too, as the real tool writes them."""
    (tmp_path / name).write_bytes(b"a")
    command = ["sha256sum", *style, "--", name]
    written = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    assert find_digest(written.decode(), name).value == A


def test_lines_are_limited() -> None:
    """At the limit passes, one past it fails, before any line is read."""
    text = "#\n" * 9 + f"{A}  {NAME}\n"
    assert find_digest(text, NAME, max_lines=10).value == A
    with pytest.raises(ChecksumFileUnusable):
        find_digest("#\n" + text, NAME, max_lines=10)


@given(
    text=st.text(alphabet=f"{A[:4]} *()=\\\n\r#-SHA256", max_size=200) | st.text(), name=st.text(max_size=8)
)
def test_any_text_gives_a_digest_or_a_refusal(text: str, name: str) -> None:
    """Nothing else is raised, and what comes out is a whole digest out of the text."""
    try:
        digest = find_digest(text, name)
    except ChecksumFileUnusable:
        return
    assert len(digest.value) == 2 * hashlib.new(digest.algorithm).digest_size
    assert digest.value in text.lower()


def test_limits_are_published() -> None:
    """What is enforced is what is told."""
    told = {limit.name: limit.value for limit in limits(load_settings())}
    assert told == {
        "max_sums_bytes": 1_048_576,
        "max_sums_lines": 10_000,
        "sums_seconds": 60.0,
        "sums_signature_required": False,
    }
