"""`https://` and `http://`: the URL is asked as it is."""

from fetcher.importer.schemes.pasted import tidied
from fetcher.importer.schemes.scheme import SourceScheme

SCHEME = SourceScheme(
    names=("https", "http"),
    form="https://HOST/PATH",
    is_enabled=lambda _settings: True,
    take=tidied,
)
