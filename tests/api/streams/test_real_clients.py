"""Clients that others wrote fetch what is published here: LXD's client and server, and aria2.

Where one is not installed its tests are skipped: apt-get install lxd lxd-client aria2.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.image_v2.cloud import Cloud
from tests.api.streams.test_machines import lists, machines
from tests.api.streams.test_published import UBUNTU, make_public, publishing
from tests.api.test_links import follow
from tests.images import qcow2, raw
from tests.lab.certificates import Authorities

DISK = qcow2(clusters=8)
PATIENT_SECONDS = 90


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)}: not installed (apt-get install)")


async def run(*words: str, **env: str) -> tuple[int, str]:
    """Run a program; its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *words,
        env={**os.environ, **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENT_SECONDS):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@contextlib.asynccontextmanager
async def over_tls(cloud: Cloud, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Put a proxy with a certificate in front, as operators do; its port."""
    port = int(cloud.base.rpartition(":")[2])

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def a_remote(folder: Path) -> AsyncIterator[tuple[dict[str, str], str]]:
    """A published virtual machine, and a client of LXD that knows us as `lab`: environment, fingerprint."""
    authorities = Authorities()
    trusted = str(authorities.trusted(folder)["ca_file"])
    async with publishing(folder, machines=True) as cloud:
        await make_public(cloud, DISK, disk_format="qcow2", **UBUNTU)
        while not (found := list(machines(await lists(cloud), "lxd.tar.xz"))):
            pass  # The background is at it.
        async with over_tls(cloud, authorities.good("127.0.0.1", "localhost")) as port:
            env = {"LXD_CONF": str(folder / "client"), "SSL_CERT_FILE": trusted, "HOME": str(folder)}
            added = await run(
                *("lxc", "remote", "add", "lab", f"https://localhost:{port}", "--protocol", "simplestreams"),
                **env,
            )
            assert added[0] == 0, added
            yield env, found[0]["fingerprint"]


@needs("lxc")
async def test_lxds_client_lists_and_downloads_a_virtual_machine(tmp_path: Path) -> None:
    """By its alias, with the fingerprint of the list; what is not as promised is refused by either side."""
    async with a_remote(tmp_path) as (env, fingerprint):
        code, said = await run("lxc", "image", "list", "lab:", "--format", "json", **env)
        assert code == 0, said
        [listed] = json.loads(said[said.index("[") :])
        assert (listed["type"], listed["fingerprint"]) == ("virtual-machine", fingerprint)
        assert "ubuntu-26.04" in [one["name"] for one in listed["aliases"]]
        assert listed["architecture"] == "x86_64"
        target = tmp_path / "out"
        target.mkdir()
        words = ("lxc", "image", "export", "lab:ubuntu-26.04", str(target), "--vm")
        code, said = await run(*words, **env)
        assert code == 0, said
        parts = sorted(path.read_bytes() for path in target.iterdir())
        assert DISK in parts
        for path in (tmp_path / "data" / "blobs").rglob("*"):
            if path.is_file():
                path.write_bytes(DISK[:-1] + b"x")  # Rotten under the service: the client is to find out.
        shutil.rmtree(target)
        target.mkdir()
        code, said = await run(*words, **env)
        assert code != 0, said


@needs("lxc", "lxd")
@pytest.mark.skipif(os.geteuid() != 0, reason="LXD's server needs root")
async def test_lxds_server_copies_a_virtual_machine(tmp_path: Path) -> None:
    """The server itself fetches the image from us, checks its fingerprint and keeps it under its alias."""
    async with a_remote(tmp_path) as (env, fingerprint):
        with tempfile.TemporaryDirectory(
            prefix="lxd-", dir="/tmp"
        ) as place:  # Its socket's path has to be short.
            env |= {"LXD_DIR": place}
            server = await asyncio.create_subprocess_exec(
                *("lxd", "--group", "root"),
                env={**os.environ, **env},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                code, said = await run("lxd", "waitready", "--timeout", str(PATIENT_SECONDS), **env)
                if code != 0:
                    pytest.skip(f"LXD's server does not start here: {said[-300:]}")
                words = ("lxc", "image", "copy", "lab:ubuntu-26.04", "local:", "--vm", "--copy-aliases")
                code, said = await run(*words, **env)
                assert code == 0, said
                code, said = await run("lxc", "image", "list", "local:", "--format", "json", **env)
                [kept] = json.loads(said[said.index("[") :])
                assert (kept["fingerprint"], kept["type"]) == (fingerprint, "virtual-machine")
                assert kept["properties"]["os"] == "ubuntu"
                assert (Path(place) / "images" / f"{fingerprint}.rootfs").read_bytes() == DISK
            finally:
                await run("lxd", "shutdown", "--timeout", "20", **env)
                with contextlib.suppress(ProcessLookupError):
                    server.terminate()
                await server.wait()


@needs("aria2c")
async def test_aria2_downloads_by_our_metalink_and_checks_the_digest(tmp_path: Path) -> None:
    """It reads URL, size and digests out of the file; other bytes than promised are an error."""
    body = raw(3_000_000)
    async with publishing(tmp_path) as cloud:
        image = await make_public(cloud, body, disk_format="raw", **UBUNTU)
        status, text, _ = await follow(cloud, f"/streams/images/{image['id']}.meta4")
        assert status == 200
        good, bad = tmp_path / "good", tmp_path / "bad"
        digest = hashlib.sha256(body).hexdigest().encode()
        other = hashlib.sha512(body).hexdigest().encode()
        assert digest in text
        for place, document in (
            (good, text),
            (bad, text.replace(digest, b"0" * 64).replace(other, b"0" * 128)),
        ):
            place.mkdir()
            (place / "disk.meta4").write_bytes(document)
            words: list[Any] = ["aria2c", "--no-conf", "-d", str(place), "-M", str(place / "disk.meta4")]
            code, said = await run(*words, "--check-integrity=true", "-V", "-x1", "-s1")
            files = [path for path in place.iterdir() if path.name != "disk.meta4"]
            if place is good:
                assert (code, [path.read_bytes() for path in files]) == (0, [body]), said
            else:
                assert code != 0, said
                assert "ERR" in said or "Checksum" in said
