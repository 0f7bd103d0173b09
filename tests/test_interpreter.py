"""The interpreter is shared fairly, and its collector does not go through what stays."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

PROBE = """
import gc, sys, threading, time
from fetcher.interpreter import short_turns, exclude_from_collection
import fetcher.service
before = len(gc.get_objects())
exclude_from_collection()
print(before, len(gc.get_objects()))

stop = False
def compute():
    while not stop:
        pass
def given_away():
    "What giving the interpreter away fifty times costs beside a thread that computes."
    began = time.perf_counter()
    for _ in range(50):
        time.sleep(0)
    return time.perf_counter() - began
threading.Thread(target=compute).start()
plain = given_away()
with short_turns():
    short = given_away()
print(plain, short)
print(sys.getswitchinterval(), 0.005)
stop = True
"""


def test_turns_are_short_and_what_stays_is_spared() -> None:
    """Beside a thread that computes the loop gets its turn sooner, and full collections see little."""
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True, text=True)
    objects, turns, usual = (list(map(float, line.split())) for line in run.stdout.splitlines())
    assert objects[0] > 50_000
    assert objects[1] < objects[0] / 10
    assert turns[1] < turns[0] / 2
    assert usual[0] == usual[1]


STARTED = """
import gc, os, runpy, sys
os.environ["SSL_CERT_FILE"], sys.argv = "/the/operator's", ["server.py", "--check-config"]
os.environ.pop("SSL_CERT_DIR", None)
try:
    runpy.run_path("server.py", run_name="__main__")
except SystemExit:
    pass
early = {"aiohttp", "httptools", "sqlite3", "starlette", "structlog", "uvicorn"} & set(sys.modules)
from fetcher.interpreter import fast_imports
with fast_imports():
    import fetcher.service
print(sorted(early))
unused = {"cryptography.x509", "fetcher.api.openapi.document", "jinja2", "rich", "yaml"}
print(sorted(unused & set(sys.modules)), os.environ["SSL_CERT_FILE"], "SSL_CERT_DIR" in os.environ)
import rich
print(gc.isenabled())
from fetcher.interpreter import resume_collection
resume_collection()
print(gc.isenabled())
"""


def test_a_start_imports_only_what_it_needs() -> None:
    """What most services never use is not loaded, and what kept it away is put back."""
    done = subprocess.run(
        [sys.executable, "-c", STARTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == ["[]", "[] /the/operator's False", "False", "True"]
