"""One way out: nothing but the transport opens a connection, and it makes its sockets in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# Modules that speak to the network, or can be made to.
SPEAKERS = {
    *(
        "aiobotocore",
        "aiohttp",
        "aiohappyeyeballs",
        "aiodns",
        "boto3",
        "botocore",
        "ftplib",
        "httpx",
        "httpx2",
        "http.client",
    ),
    *("imaplib", "keystoneauth1", "niquests", "nntplib", "poplib", "pycurl", "requests", "smtplib", "socket"),
    *("socketserver", "ssl", "telnetlib", "urllib.request", "urllib3", "websockets", "xmlrpc", "paramiko"),
    *("multiprocessing.connection", "asyncio.streams", "asyncio.sslproto", "uvloop", "ctypes", "_socket"),
    *("asyncssh", "dns", "grpc", "h11", "h2", "http_client", "pexpect", "pty", "redis", "subprocess", "trio"),
}
# Calls that open connections, whatever they are called on.
OPENERS = {
    *(
        "open_connection",
        "open_unix_connection",
        "create_connection",
        "create_unix_connection",
        "urlopen",
        "connect_ex",
    ),
    *(
        "create_datagram_endpoint",
        "sock_connect",
        "ClientSession",
        "TCPConnector",
        "getaddrinfo",
        "gethostbyname",
    ),
    *("urlretrieve", "HTTPConnection", "HTTPSConnection", "connect_accepted_socket", "socketpair"),
    # Another program would fetch by rules of its own.
    *("create_subprocess_exec", "create_subprocess_shell", "popen", "posix_spawn", "startfile", "execve"),
}
# The rest of the service's conversations, each with its reason.
KNOWN = {
    ("fetcher/api/auth/keystone.py", "keystoneauth1"): "the identity service, whose address the operator set",
    ("fetcher/cli/client.py", "http.client"): "the command line is a client of the service itself",
    ("fetcher/cli/client.py", "ssl"): "likewise",
    ("fetcher/cli/client.py", "HTTPConnection"): "likewise",
    ("fetcher/cli/client.py", "HTTPSConnection"): "likewise",
    ("fetcher/api/auth/limits_keystone.py", "keystoneauth1"): "likewise",
    ("fetcher/convert/sandbox/confine.py", "ctypes"): "puts a process behind walls that have no network",
    ("fetcher/convert/sandbox/confine.py", "socket"): "tries in there that no connection can be made",
    ("fetcher/convert/sandbox/confine.py", "create_connection"): "likewise",
    ("fetcher/convert/sandbox/probe.py", "socket"): "listens for what must not come out of the walls",
    ("fetcher/convert/sandbox/runner.py", "create_subprocess_exec"): "starts programs within the walls",
    (
        "fetcher/attest/signer.py",
        "create_subprocess_exec",
    ): "runs the operator's own command, on bytes of ours",
    ("fetcher/memory.py", "ctypes"): "tunes the C library's memory; reaches nobody",
    ("fetcher/api/inbound/server.py", "socket"): "hands over what was accepted before it was there",
    ("fetcher/api/inbound/door/anteroom.py", "socket"): "holds who was accepted",
    ("fetcher/api/inbound/door/calls.py", "socket"): "accepts; an accepted socket leads to whoever came",
    ("fetcher/api/inbound/door/calls.py", "ctypes"): "likewise, without giving the interpreter away",
    ("fetcher/api/inbound/door/entry.py", "socket"): "answers on a connection that was accepted",
    ("fetcher/api/inbound/door/entry.py", "connect_accepted_socket"): "likewise",
    ("fetcher/api/inbound/door/listener.py", "socket"): "listens",
    ("fetcher/api/inbound/door/probe.py", "socket"): "answers on a connection that was accepted",
    ("fetcher/start/early.py", "socket"): "accepts, and answers there, until the service is loaded",
    ("fetcher/start/command.py", "socket"): "listens",
    ("fetcher/service/serving.py", "socket"): "takes over who listens, and who was accepted",
    ("fetcher/api/inbound/file_sender.py", "socket"): "answers on a connection that was accepted",
    ("fetcher/listening.py", "socket"): "listens; asks a path on this machine whether anybody does",
    (
        "fetcher/store/s3/wire/connection.py",
        "aiobotocore",
    ): "the object store, whose endpoint the operator set",
    ("fetcher/store/s3/wire/connection.py", "botocore"): "likewise",
    ("fetcher/store/s3/bucket.py", "botocore"): "names its errors",
    ("fetcher/store/s3/wire/objects.py", "botocore"): "likewise",
    ("fetcher/store/s3/wire/faults.py", "botocore"): "likewise",
    ("fetcher/systemd.py", "socket"): "tells systemd on a local socket; takes over one that listens",
}


def sources() -> list[Path]:
    """Find every file that runs in the service."""
    return [ROOT / "server.py", *sorted((ROOT / "fetcher").rglob("*.py"))]


def imports(tree: ast.AST) -> Iterator[str]:
    """Find what a file imports, also inside functions and by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in {"import_module", "__import__"}:
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def findings(tree: ast.AST) -> set[str]:
    """Name whatever in a file could reach the network."""
    parts = [module.split(".") for module in imports(tree)]
    spoken = {".".join(words[:end]) for words in parts for end in range(1, len(words) + 1)} & SPEAKERS
    called = {_name(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return spoken | (called & OPENERS)


def test_only_the_transport_reaches_the_network() -> None:
    """A second way around the gate is how others were broken: it fails, and so does a lapsed exception."""
    found = {
        (str(path.relative_to(ROOT)), finding)
        for path in sources()
        if not path.is_relative_to(ROOT / "fetcher" / "transport")
        for finding in findings(ast.parse(path.read_text()))
    }
    assert found == KNOWN.keys()


def test_sockets_to_sources_are_made_in_one_place() -> None:
    """Inside the transport too: one call makes the sockets that are dialled, another only probes."""
    made = {}
    for path in (ROOT / "fetcher" / "transport").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)]
                for call in calls:
                    if call in {
                        "socket.socket",
                        "socket.create_connection",
                        "aiohttp.TCPConnector",
                        "TCPConnector",
                    }:
                        made[f"{path.stem}.{function.name}"] = call
                    if call.endswith(("open_connection", "create_datagram_endpoint", "backend.make_socket")):
                        made[f"{path.stem}.{function.name}"] = call.rpartition(".")[2]
    assert made == {
        "plan.make_socket": "socket.socket",
        "plan.is_own": "socket.socket",
        "dns_client._ask_one": "make_socket",
    }


@pytest.mark.parametrize(
    "text",
    [
        "import aiohttp",
        "def f():\n    import requests",
        "from urllib import request",
        "import importlib\nimportlib.import_module('httpx')",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "loop.create_connection(None)",
        "from socket import create_connection",
        "__import__('socket')",
        "import subprocess",
        "asyncio.create_subprocess_exec('curl')",
    ],
)
def test_the_search_finds_what_it_is_for(text: str) -> None:
    """A search that cannot find anything proves nothing."""
    assert findings(ast.parse(text))
