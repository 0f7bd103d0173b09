"""The sandbox: what it keeps out, how it ends, and that it says what holds."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable
from pathlib import Path

import pytest

from fetcher.convert.sandbox import Ended, Rules, Walls, run
from fetcher.convert.sandbox.confine import landlock_abi
from fetcher.errors import ConversionUnavailable

SHELL = "/bin/sh"
LANDLOCK = Walls(landlock=1, seccomp=True)
BUBBLEWRAP = Walls(bubblewrap=True)


@pytest.fixture(params=["all", "landlock", "bubblewrap"])
def each(request: pytest.FixtureRequest, walls: Walls) -> Walls:
    """Every set of walls that is enough."""
    if request.param == "all":
        return walls
    if request.param == "landlock":
        if not (walls.landlock and walls.seccomp):
            pytest.skip("Landlock or seccomp does not work here")
        return Walls(landlock=walls.landlock, seccomp=True)
    if not walls.bubblewrap:
        pytest.skip("bubblewrap does not work here")
    return BUBBLEWRAP


def python(code: str) -> list[str]:
    return [os.path.realpath(sys.executable), "-IS", "-c", code]


async def said(command: list[str], rules: Rules, walls: Walls) -> tuple[Ended, str]:
    heard: list[bytes] = []
    ended = await run(command, rules, walls, listen=heard.append)
    return ended, b"".join(heard).decode()


async def test_one_file_is_visible_and_its_neighbour_is_not(each: Walls, tmp_path: Path) -> None:
    """What is named can be read; nothing beside it, whoever owns it."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "other").write_text("other")
    rules = Rules(read=(tmp_path / "mine",))
    ended, text = await said(["/bin/cat", str(tmp_path / "mine")], rules, each)
    assert (ended.code, text) == (0, "mine")
    for path in (tmp_path / "other", Path("/etc/passwd"), Path(f"/proc/{os.getpid()}/environ")):
        ended, text = await said(["/bin/cat", str(path)], rules, each)
        assert ended.code != 0, path
        assert text == "", path


async def test_only_the_named_files_can_be_written(each: Walls, tmp_path: Path) -> None:
    """The input stays as it is, and no new file comes up anywhere."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("source")
    target.touch()
    rules = Rules(read=(source,), write=(target,))
    ended, _ = await said([SHELL, "-c", f"echo ok > {target}"], rules, each)
    assert ended.code == 0
    for bad in (f"echo no > {source}", f"echo no > {tmp_path}/new", f"rm {source}"):
        await said([SHELL, "-c", bad], rules, each)
    assert source.read_text() == "source"
    assert target.read_text() == "ok\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


async def test_the_network_is_out_of_reach(each: Walls) -> None:
    """Neither a port of this machine nor anything else can be connected to."""
    reached: list[bool] = []
    server = await asyncio.start_server(lambda _r, _w: reached.append(True), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)"
    ended, _ = await said(python(code), Rules(read=(Path(sys.base_prefix),)), each)
    server.close()
    assert ended.code == 1
    assert reached == []


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.fork()",
        "import os; os.kill(os.getppid(), 0)",
        "import os; os.chmod('FILE', 0o777)",
        "import os; os.utime('FILE', (1, 1))",
        "import os; os.setxattr('FILE', 'user.x', b'x')",
        "import socket; socket.socketpair()",
        "import ctypes, os; os._exit(1 if ctypes.CDLL(None).ptrace(0, 0, 0, 0) < 0 else 0)",
        "import ctypes, os; os._exit(1 if ctypes.CDLL(None).unshare(0x10000000) < 0 else 0)",
    ],
)
async def test_seccomp_refuses_what_no_converter_needs(walls: Walls, tmp_path: Path, code: str) -> None:
    """Processes, signals, modes, attributes, sockets and namespaces are refused by the kernel."""
    if not (walls.landlock and walls.seccomp):
        pytest.skip("Landlock or seccomp does not work here")
    file = tmp_path / "file"
    file.touch()
    rules = Rules(read=(Path(sys.base_prefix), file))
    ended, _ = await said(python(code.replace("FILE", str(file))), rules, LANDLOCK)
    assert ended.code == 1
    assert file.stat().st_mtime > 1


async def test_threads_are_allowed(walls: Walls) -> None:
    """Qemu needs them; they are no way out."""
    code = "import threading; t = threading.Thread(target=print, args=('ran',)); t.start(); t.join()"
    ended, text = await said(python(code), Rules(read=(Path(sys.base_prefix),)), walls)
    assert (ended.code, text) == (0, "ran\n")


async def test_a_pool_of_threads_fits_into_the_address_space(each: Walls) -> None:
    """As many threads as qemu's pool has, each with memory of its own, on a machine of any processors."""
    code = """
import ctypes, os, threading
threading.excepthook = lambda _: os._exit(1)
malloc = ctypes.CDLL(None).malloc
everyone = threading.Barrier(64, timeout=20)
def work():
    everyone.wait()
    assert malloc(100_000)
    everyone.wait()
threads = [threading.Thread(target=work) for _ in range(64)]
try:
    for thread in threads: thread.start()
except RuntimeError:
    os._exit(2)
for thread in threads: thread.join()
print("ran")
"""
    rules = Rules(read=(Path(sys.base_prefix),), memory_bytes=400 << 20)
    ended, text = await said(python(code), rules, each)
    assert (ended.code, text) == (0, "ran\n"), ended.errors


async def test_limits_hold(each: Walls, tmp_path: Path) -> None:
    """Processor time, memory and the length of a file have an end."""
    base = Path(sys.base_prefix)
    ended, _ = await said(python("while True: pass"), Rules(read=(base,), cpu_seconds=1), each)
    assert ended.has_crashed
    memory = Rules(read=(base,), memory_bytes=256 << 20)
    ended, _ = await said(python("bytearray(1 << 30)"), memory, each)
    assert ended.code == 1
    target = tmp_path / "target"
    target.touch()
    rules = Rules(read=(base,), write=(target,), file_bytes=1 << 20)
    ended, _ = await said(python(f"open({str(target)!r}, 'wb').truncate(2 << 20)"), rules, each)
    assert ended.code == 1
    assert target.stat().st_size == 0


async def test_a_cancelled_run_leaves_no_process(each: Walls) -> None:
    """Cancelling the call ends the program and whatever is around it."""
    started = asyncio.Event()
    code = "import sys, time; print('up', flush=True); time.sleep(600)"
    rules = Rules(read=(Path(sys.base_prefix),))
    before = _children()  # Servers that other tests use, too.
    task = asyncio.create_task(run(python(code), rules, each, listen=lambda _output: started.set()))
    await asyncio.wait_for(started.wait(), 60)
    assert _children() > before
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _children() <= before


def _children() -> set[int]:
    """The processes that this one has started and that have not ended."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii")
    return {int(word) for word in text.split()}


async def test_it_dies_with_the_service(each: Walls, tmp_path: Path) -> None:
    """A killed service leaves no conversion running."""
    file = tmp_path / "pid"
    program = (
        "import asyncio, sys, os\n"
        "from pathlib import Path\n"
        "from fetcher.convert.sandbox import Rules, Walls, run\n"
        f"walls = Walls(landlock={each.landlock}, seccomp={each.seccomp}, bubblewrap={each.bubblewrap})\n"
        "def listen(output): print('up', flush=True)\n"
        "code = \"import time; print('up', flush=True); time.sleep(600)\"\n"
        "command = [os.path.realpath(sys.executable), '-IS', '-c', code]\n"
        "asyncio.run(run(command, Rules(read=(Path(sys.base_prefix),)), walls, listen=listen))\n"
    )
    service = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert service.stdout is not None
    await asyncio.to_thread(service.stdout.readline)
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text("ascii").split()
    file.write_text(" ".join(children))
    descriptors = [os.pidfd_open(int(child)) for child in children]
    service.kill()
    service.wait()
    service.stdout.close()
    assert descriptors
    for descriptor in descriptors:
        await _readable(descriptor)
        os.close(descriptor)


def _readable(descriptor: int) -> Awaitable[None]:
    """Wait until a process has ended: its descriptor can be read then."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)

    async def wait() -> None:
        try:
            await asyncio.wait_for(ended.wait(), 30)
        finally:
            loop.remove_reader(descriptor)

    return wait()


async def test_nothing_runs_where_no_wall_stands() -> None:
    """One of the two halves is not enough, and nothing is no sandbox."""
    for walls in (Walls(), Walls(landlock=1), Walls(seccomp=True)):
        with pytest.raises(ConversionUnavailable):
            await run(["/bin/true"], Rules(), walls)


async def test_a_wall_that_does_not_come_up_ends_the_run(walls: Walls) -> None:
    """A program is never started behind less than what was promised."""
    if not (walls.landlock and walls.seccomp):
        pytest.skip("Landlock or seccomp does not work here")
    rules = Rules(read=(Path("/etc/passwd/no-folder"),))
    with pytest.raises(ConversionUnavailable):
        await run(["/bin/echo", "ran"], rules, LANDLOCK)


def test_the_probe_tells_what_the_kernel_offers(walls: Walls) -> None:
    """What is published is what was tried: with a version where there is one."""
    assert walls.landlock in (0, landlock_abi())
    assert walls.published()["standing"] is True
    assert walls.names


async def test_the_loop_stays_free_while_a_program_runs(walls: Walls) -> None:
    """Starting, reading and ending a program never hold up others."""
    gaps: list[float] = []
    over = asyncio.Event()

    async def heartbeat() -> None:
        while not over.is_set():
            before = time.monotonic()
            await asyncio.sleep(0)
            gaps.append(time.monotonic() - before)
            await asyncio.sleep(0.01)

    beating = asyncio.create_task(heartbeat())
    ended, _ = await said(python("print('x' * 5_000_000)"), Rules(read=(Path(sys.base_prefix),)), walls)
    over.set()
    await beating
    assert ended.code == 0
    assert len(gaps) >= 3


async def test_a_crash_is_told_as_a_signal(each: Walls) -> None:
    """Also where bubblewrap turns it into an exit code."""
    ended, _ = await said(python("import os; os.abort()"), Rules(read=(Path(sys.base_prefix),)), each)
    assert ended.code == -signal.SIGABRT
