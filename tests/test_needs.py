"""Programs that tests need: one that is missing is named, and the machine of the project has them all."""

import re
from pathlib import Path

import pytest

from tests import conftest, needs
from tests.importer.receive.kinds import SAMPLES

INSTALLED = (Path(__file__).parents[1] / "scripts" / "debian-packages.sh").read_text("utf-8")
ALWAYS = {"gzip", "tar", "util-linux"}
"""Packages that every Debian has."""


def test_a_missing_program_is_named(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine without a tool skips the test, wherever it lies, and says which package has it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    request.node.add_marker(pytest.mark.needs("wimcapture"))
    with pytest.raises(pytest.skip.Exception, match=r"wimcapture is not installed \(package wimtools\)"):
        conftest.pytest_runtest_setup(request.node)
    tool = tmp_path / "wimcapture"
    tool.touch(0o755)
    conftest.pytest_runtest_setup(request.node)


@pytest.mark.parametrize("program", sorted({tool for sample in SAMPLES for tool in sample.tools}))
def test_the_machine_of_the_project_has_every_tool(program: str) -> None:
    """The package of each tool is one that the script installs for tests, so that none is skipped there."""
    package = needs.PACKAGES.get(program, program)
    listed = set(re.findall(r"[\w.+-]+", INSTALLED[INSTALLED.index('"$what" = test') :].partition("fi\n")[0]))
    assert package in listed | ALWAYS
