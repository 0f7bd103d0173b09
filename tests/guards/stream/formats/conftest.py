"""What the tests of the format guard share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that samples are made in, once for a session."""
    return tmp_path_factory.mktemp("corpus")
