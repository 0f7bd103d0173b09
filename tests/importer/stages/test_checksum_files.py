"""Checksum files as distributions publish them, through the whole service: found, and wrong bytes refused."""

import hashlib
from pathlib import Path

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(100_000)
RIGHT, WRONG = BODY, raw(100_000)[:-1] + b"!"
A = hashlib.sha256(BODY).hexdigest()
A512 = hashlib.sha512(BODY).hexdigest()
B = hashlib.sha256(b"b").hexdigest()
BLAKE = hashlib.blake2b(BODY).hexdigest()
LINK, DATED = "/9/os-9-latest.x86_64.img", "/9/os-9-20240101.0.x86_64.img"

# By name: the checksum file's path, its bytes.
FILES: dict[str, tuple[str, bytes]] = {
    "gnu": ("/9/SHA256SUMS", f"{A}  os-9-latest.x86_64.img\n".encode()),
    "dated": ("/9/CHECKSUM", f"{B}  os-9-20240101.0.i386.img\n{A}  os-9-20240101.0.x86_64.img\n".encode()),
    "bsd dated": ("/9/CHECKSUM", b"# x\nSHA256 (os-9-20240101.0.x86_64.img) = " + A.encode()),
    "utf-16": ("/9/SUMS", f"{A}  os-9-latest.x86_64.img\r\n".encode("utf-16")),
    "marked utf-8": ("/9/SUMS", f"\ufeff{A}\tos-9-latest.x86_64.img \r\n".encode()),
    "absolute": ("/9/SUMS", f"{A}  /var/out/os-9-latest.x86_64.img\n".encode()),
    "headings": (
        "/9/x.DIGESTS",
        f"# BLAKE2B HASH\n{BLAKE}  os-9-latest.x86_64.img\n"
        f"# SHA512 HASH\n{A512}  os-9-latest.x86_64.img\n".encode(),
    ),
    "its own name": ("/9/os-9-latest.x86_64.img.sha256", f"{A}  build/77.img\n".encode()),
    "prefix alone": ("/9/os-9-latest.x86_64.img.sha256", f"sha256:{A}\n".encode()),
    "pair": ("/9/SUMS", f"os-9-latest.x86_64.img = {A}\n".encode()),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", ["directly", "by redirect", "by its header"])
async def test_right_bytes_are_verified_and_wrong_ones_refused(name: str, way: str, tmp_path: Path) -> None:
    """In every dialect, and whichever way the image is reached."""
    path, held = FILES[name]
    fields = [("Content-Disposition", 'attachment; filename="os-9-20240101.0.x86_64.img"')]
    for body, state in ((RIGHT, "succeeded"), (WRONG, "refused")):
        serving = {
            "directly": {LINK: behaviours.serve(body)},
            "by redirect": {LINK: behaviours.redirect(DATED), DATED: behaviours.serve(body)},
            "by its header": {LINK: behaviours.serve(body, fields=fields)},
        }[way]
        async with (
            Origin({**serving, path: behaviours.serve(held)}) as origin,
            Running(tmp_path, origin) as service,
        ):
            ended = await service.run(url=origin.url(LINK), checksum_url=origin.url(path))
            assert ended["state"] == state, ended["verdict"]
            if state == "succeeded":
                assert ended["verified_by"] == "sums"
            else:
                assert ended["verdict"]["code"] == "checksum-mismatch"


async def test_names_of_redirects_and_headers_are_found(tmp_path: Path) -> None:
    """A name that nothing but the answer tells; the head decides, before any byte is kept."""
    sums = behaviours.serve(f"{B}  a.img\n{A}  real.img\n{B}  z.img\n".encode())
    named = [("Content-Disposition", "attachment; filename=real.img")]
    routes = {
        "/r": behaviours.redirect("/deep/real.img"),
        "/deep/real.img": behaviours.serve(BODY),
        "/d": behaviours.serve(BODY, fields=named),
        "/u": behaviours.serve(BODY),
        "/S": sums,
    }
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        for path in ("/r", "/d"):
            ended = await service.run(url=origin.url(path), checksum_url=origin.url("/S"))
            assert (ended["state"], ended["verified_by"]) == ("succeeded", "sums"), ended["verdict"]
        ended = await service.run(url=origin.url("/u"), checksum_url=origin.url("/S"))
        assert ended["verdict"]["code"] == "checksum-file-unusable"
        assert "does not list u; it lists a.img, real.img, z.img" in ended["verdict"]["title"]
        assert ended["progress"]["received_bytes"] == 0


async def test_checksum_as_packer_writes_it(tmp_path: Path) -> None:
    """`file:URL` names a checksum file."""
    routes = {"/x.img": behaviours.serve(BODY), "/S": behaviours.serve(f"{A} *x.img\n".encode())}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x.img"), checksum=f"file:{origin.url('/S')}")
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "sums")
