"""The attack lab: a hostile origin, hostile names, canaries, and certificates good and bad.

All of it lives on loopback, ends with its `async with` block, and tells what
happened in counts and events, so that no test has to sleep.
"""

from tests.lab.canary import Canary
from tests.lab.names import FakeNames
from tests.lab.origin import Exchange, Origin, Request
from tests.lab.settings import lab_settings
from tests.lab.words import words

__all__ = ["Canary", "Exchange", "FakeNames", "Origin", "Request", "lab_settings", "words"]
