"""An nginx on loopback as origin, and what asks it beside the service."""

import contextlib
import os
import resource
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.figures import Sample
from bench.lab.place import Lab, free_port, until_open, which


@dataclass(frozen=True, kw_only=True)
class Origin:
    """An nginx that serves a folder over http and https.

    Args:
        slow_bytes: What `/slow/...` sends in a second, for each connection.
    """

    http: int
    https: int
    ca: Path
    folder: Path

    def url(self, path: str, scheme: str = "http") -> str:
        """Return the URL of a file of the folder."""
        return f"{scheme}://127.0.0.1:{self.https if scheme == 'https' else self.http}/{path}"


@contextlib.contextmanager
def origin(lab: Lab, *, extra: str = "", slow: str = "64k") -> Iterator[Origin]:
    """Run nginx over the fast folder."""
    nginx = which("nginx")
    home = Path(tempfile.mkdtemp(dir=lab.folder))
    home.chmod(0o755)
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    ca, cert, key = home / "ca.pem", home / "cert.pem", home / "key.pem"
    authority.cert_pem.write_to_path(str(ca))
    cert.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    http_port, https_port = free_port(), free_port()
    temporary = " ".join(
        f"{name}_temp_path {home}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(f"""
user root; daemon off; worker_processes 1; error_log {home}/error.log; pid {home}/pid;
events {{ worker_connections 8192; }}
http {{ access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream; {temporary}
 server {{ listen 127.0.0.1:{http_port} backlog=4096; root {lab.fast};
          location /slow/ {{ alias {lab.fast}/; limit_rate {slow}; }} {extra} }}
 server {{ listen 127.0.0.1:{https_port} ssl; root {lab.fast}; ssl_protocols TLSv1.2 TLSv1.3;
          ssl_certificate {cert}; ssl_certificate_key {key}; }}
}}""")
    started = subprocess.Popen([nginx, "-c", home / "nginx.conf", "-p", home], stderr=subprocess.DEVNULL)
    try:
        until_open(http_port)
        yield Origin(http=http_port, https=https_port, ca=ca, folder=lab.fast)
    finally:
        started.terminate()
        started.wait()


def shell(command: str, origin: Origin | None = None) -> Sample:
    """Run a pipeline of bash, and wait for all of it."""
    env = dict(os.environ, CURL_CA_BUNDLE=str(origin.ca) if origin else "")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        ["bash", "-c", f"set -eo pipefail; {command}"], check=True, env=env, stdout=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(seconds=seconds, cpu_seconds=cpu)


def trusts_context(origin: Origin) -> ssl.SSLContext:
    """A client's context that trusts the origin."""
    return ssl.create_default_context(cafile=str(origin.ca))
