"""Advice for a person who sees a failure: one reviewed table of (code, facts) and a sentence.

Rows of a code are read from the top; the first whose facts fit speaks. A fact fits when it equals the
row's, or is among the row's several, or when the row's pattern is found in it. What no row is for is
answered by the `advice` of the class.
"""

import re
from collections.abc import Iterator

from fetcher.advice import checksums, forbidden, source, stores, url
from fetcher.advice.facts import Cases
from fetcher.advice.source import SERVER
from fetcher.errors import Failure, readable, table

CASES: Cases = {
    **url.CASES,
    **source.CASES,
    **stores.CASES,
    **checksums.CASES,
    **forbidden.CASES,
}


def advice_for(failure: Failure) -> str:
    """Say what can be done about a failure, as far as its submitter may know the facts."""
    public = failure.public()
    facts = public.fields()
    shown = {name: value for name, value in facts.items() if name not in public.hidden}
    for wanted, sentence in CASES.get(public.code, ()):
        if all(_fits(shown.get(name), value) for name, value in wanted.items()):
            return sentence
    words = {name: readable("" if name in public.hidden else value) for name, value in facts.items()}
    return type(public).advice.format(**words)


def plain_advice(code: str) -> str:
    """Say what to do about a code of which no facts are known; empty where that needs facts."""
    kind = table().get(code)
    return "" if kind is None or "{" in kind.advice else kind.advice


def cases(code: str) -> Iterator[tuple[str, str]]:
    """Tell all rows of a code: the case in words, and the sentence."""
    for wanted, sentence in CASES.get(code, ()):
        yield ", ".join(f"{name} {_words(value)}" for name, value in wanted.items()) or "else", sentence


def _fits(fact: object, wanted: object) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(fact, str) and wanted.search(fact) is not None
    return fact in wanted if isinstance(wanted, tuple) else fact == wanted


def _words(wanted: object) -> str:
    if isinstance(wanted, re.Pattern):
        return f'says "{wanted.pattern}"'
    if wanted == SERVER:
        return "500 to 599"
    return " or ".join(str(one) for one in wanted) if isinstance(wanted, tuple) else str(wanted)
