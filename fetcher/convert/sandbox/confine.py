"""Confines itself as its first argument says, then becomes the program that follows.

Started as `python3 -IS confine.py RULES PROGRAM ARGUMENT...`, with RULES a JSON object: `parent`,
`limits`, `landlock`, `seccomp`, `read`, `write`, `scratch`, `canary`. Uses nothing but the standard
library, because nothing else is there. A wall that was asked for and does not come up ends it.
With `canary` it runs no program, but reports in JSON what it could reach.
Source: Linux, Documentation/userspace-api/landlock.rst and seccomp_filter.rst.
"""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 38, 22
NOT_CONFINED = 126

# Landlock: the rights of ABI 1; each later ABI adds some, and a kernel refuses what it does not know.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # The same on every architecture.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REMOVE_FILE, MAKE_REG, TRUNCATE = 1 << 5, 1 << 8, 1 << 14
RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
NETWORK_ABI, SCOPE_ABI = 4, 6

# Seccomp: what is refused, by architecture. Everything with which a process reaches others, the network,
# the kernel's odd corners, or what Landlock does not cover: owners, modes, times and attributes of files.
X86_64 = """
29 41 42 43 49 50 53 57 58 62 64 68 90 91 92 93 94 101 103 129 132 133 135 155 161 163 164 165 166 167 168
169 170 171 172 173 175 176 179 188 189 190 197 198 199 200 227 235 240 246 248 249 250 259 260 261 268 272
280 288 297 298 303 304 308 310 311 312 313 320 321 323
"""
AARCH64 = """
5 6 7 14 15 16 33 39 40 41 51 52 53 54 55 60 88 89 97 104 105 106 112 116 117 129 130 138 142 161 162 170 180
186 190 194 198 199 200 201 202 203 217 218 219 224 225 240 241 242 264 265 268 270 271 272 273 280 282
294
"""
NATIVE = {
    "x86_64": (0xC000003E, {"clone": 56, "tgkill": 234, "clone3": 435}, X86_64),
    "aarch64": (0xC00000B7, {"clone": 220, "tgkill": 131, "clone3": 435}, AARCH64),
}
# pidfd_send_signal, io_uring_*, open_tree ... pidfd_open, pidfd_getfd, mount_setattr, fchmodat2.
ANYWHERE = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442, 452)
ALLOW, FAIL, KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
CLONE_THREAD = 0x0001_0000
X32 = 0x4000_0000


def main(arguments: list[str]) -> None:
    """Confine this process, then become the program or report what the canary could reach."""
    rules = json.loads(arguments[0])
    try:
        _die_with_parent(rules.get("parent"))
        _limit(rules.get("limits", {}))
        _call(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
        if rules.get("landlock"):
            _landlock(rules)
        if rules.get("seccomp"):
            _seccomp()
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"not confined: {error}\n")
        sys.exit(NOT_CONFINED)
    if "canary" in rules:
        sys.stdout.write(json.dumps(_canary(rules["canary"])))
        return
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(arguments[1], arguments[1:])  # noqa: S606 # the program that our own service named


def _call(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _die_with_parent(parent: int | None) -> None:
    _call(LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "parent")
    if parent is not None and os.getppid() != parent:
        raise OSError(errno.ESRCH, "the service has ended")


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (most, most))


def landlock_abi() -> int:
    """Return the version of Landlock that the kernel offers; 0 for none."""
    found: int = LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    return max(found, 0)


def _landlock(rules: dict[str, Any]) -> None:
    abi = landlock_abi()
    if not abi:
        raise OSError(errno.EOPNOTSUPP, "Landlock is not available")
    handled = RIGHTS_BY_ABI[max(known for known in RIGHTS_BY_ABI if known <= abi)]
    attributes = struct.pack("=Q", handled)
    if abi >= NETWORK_ABI:
        attributes += struct.pack("=Q", 3)  # Binding and connecting by TCP.
    if abi >= SCOPE_ABI:
        attributes += struct.pack("=Q", 3)  # Abstract sockets and signals to others.
    size = ctypes.c_size_t(len(attributes))
    ruleset = _call(LIBC.syscall(CREATE_RULESET, attributes, size, ctypes.c_uint32(0)), "Landlock")
    readable = EXECUTE | READ_FILE | READ_DIR
    writable = READ_FILE | WRITE_FILE | TRUNCATE
    for key, rights in (
        ("read", readable),
        ("write", writable),
        ("scratch", readable | writable | REMOVE_FILE | MAKE_REG),
    ):
        for path in rules.get(key, []):
            _open_up(ruleset, path, rights & handled)
    _call(LIBC.syscall(RESTRICT_SELF, ruleset, ctypes.c_uint32(0)), "Landlock")
    os.close(ruleset)


def _open_up(ruleset: int, path: str, rights: int) -> None:
    """Allow rights beneath a path; what does not exist needs none."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not Path(path).is_dir():
        rights &= EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE
    rule = struct.pack("=Qi", rights, descriptor)
    _call(LIBC.syscall(ADD_RULE, ruleset, 1, rule, ctypes.c_uint32(0)), f"Landlock, {path}")
    os.close(descriptor)


def _seccomp() -> None:
    architecture, numbers, refused = NATIVE[platform.machine()]
    fail = FAIL | errno.EPERM
    program = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, fail),
        (EQUAL, 0, 1, numbers["clone3"]),
        (RETURN, 0, 0, FAIL | errno.ENOSYS),  # The C library then takes clone, whose flags can be seen.
        (EQUAL, 0, 4, numbers["clone"]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (ANY_BIT, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, fail),
        (RETURN, 0, 0, ALLOW),
        (EQUAL, 0, 4, numbers["tgkill"]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (EQUAL, 1, 0, os.getpid()),
        (RETURN, 0, 0, fail),
        (RETURN, 0, 0, ALLOW),
    ]
    for number in (*map(int, refused.split()), *ANYWHERE):
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, fail)]
    program.append((RETURN, 0, 0, ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    _call(LIBC.prctl(PR_SET_SECCOMP, 2, head, 0, 0), "seccomp")


def _canary(canary: dict[str, Any]) -> dict[str, Any]:
    """Try to read a file and to reach a port, both of our own; return the results."""
    return {"abi": landlock_abi(), "file": _reads(canary["file"]), "network": _connects(canary["port"])}


def _reads(path: str) -> bool:
    try:
        return bool(Path(path).read_bytes())
    except OSError:
        return False


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
