"""The base of all answers, and the kinds of numbers in them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Size = Annotated[int, Meta(ge=0, description="Bytes.")]
Seconds = Annotated[float, Meta(ge=0)]
Moment = Annotated[datetime, Meta(tz=True)]


class ResponseSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every answer."""
