"""The text of events, made once for all who follow the same import."""

from collections import OrderedDict

import msgspec

from fetcher.api.views import import_view
from fetcher.model import Import

MAX_TEXTS = 1024


class EventTexts:
    """The latest document of each import that is followed."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[str, str, bool], tuple[Import, str]] = OrderedDict()

    def of(self, record: Import, base: str, *, is_operator: bool) -> str:
        """Return the document of a record, with links that begin with `base`."""
        key = (record.id, base, is_operator)
        found = self._texts.get(key)
        if found is None or found[0] is not record:
            found = (record, msgspec.json.encode(import_view(record, base, is_operator=is_operator)).decode())
            self._texts[key] = found
            if len(self._texts) > MAX_TEXTS:
                self._texts.popitem(last=False)
        return found[1]
