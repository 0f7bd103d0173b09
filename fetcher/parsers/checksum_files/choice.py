"""Choosing the digest that a checksum file gives for one image, or saying why there is none."""

from collections.abc import Sequence

from fetcher.errors import ChecksumFileUnusable
from fetcher.model import Digest
from fetcher.parsers.checksum_files.listing import Listing, read_listing
from fetcher.parsers.checksum_files.names import alike, dated, equal, is_about, last_of, stem_of
from fetcher.parsers.checksum_files.values import Entry

MAX_NAMES = 5
MAX_CHARACTERS = 120
ACCEPTED = ("sha256", "sha384", "sha512")


def find_digest(
    text: str, name: str, *, accepted: Sequence[str] = ACCEPTED, max_lines: int = 10_000, file_name: str = ""
) -> Digest:
    """Find the strongest digest that a checksum file gives for one name.

    Raises:
        ChecksumFileUnusable: As from `read_listing` and `choose`.
    """
    names = (file_name,) if file_name else ()
    return choose(read_listing(text, file_names=names, max_lines=max_lines), [name], accepted)


def known(listing: Listing, path: str, accepted: Sequence[str]) -> Digest | None:
    """Find the digest under the very name that was submitted; None where other names have to be tried.

    Raises:
        ChecksumFileUnusable: No name at all could help, or the file contradicts itself about this one.
    """
    check_algorithms(listing.entries, accepted)
    entries = equal(listing.entries, path) or _nameless(listing)
    return _strongest(entries, accepted, path) if entries else None


def choose(listing: Listing, paths: Sequence[str], accepted: Sequence[str]) -> Digest:
    """Find the strongest digest for an image of several names, best first.

    Args:
        listing: What the file lists.
        paths: The path of the submitted URL, those of each redirect, and what the source calls the file.
        accepted: Algorithms that count.

    Raises:
        ChecksumFileUnusable: It lists the image not at all, or several that it could be, or gives
            it two different digests, or none in an algorithm that counts.
    """
    check_algorithms(listing.entries, accepted)
    entries = _about(listing, paths)
    if not entries:
        looked = dict.fromkeys(last_of(path) for path in paths if last_of(path))
        reason = f"it does not list {_shown(looked, ' or ')}; it lists {_shown(_names(listing.entries))}"
        raise ChecksumFileUnusable(reason=reason, kind="unlisted")
    return _strongest(entries, accepted, paths[0] if paths else "")


def check_algorithms(entries: Sequence[Entry], accepted: Sequence[str]) -> None:
    """Refuse a file that has no digest of use for any name.

    Raises:
        ChecksumFileUnusable: With the algorithms that it has.
    """
    there = sorted({entry.algorithm for entry in entries})
    if not set(there) & set(accepted):
        reason = f"it gives only {' and '.join(there)}, and {' or '.join(accepted)} is needed"
        raise ChecksumFileUnusable(reason=reason, kind="algorithms")


def _about(listing: Listing, paths: Sequence[str]) -> list[Entry]:
    for find in (equal, dated, alike):
        for path in paths:
            if found := find(listing.entries, path):
                return found
    if found := _nameless(listing):
        return found
    stems = [stem for stem in map(stem_of, listing.file_names) if stem]
    for stem in stems:
        if found := equal(listing.entries, stem):
            return found
    is_for_one = len(_names(listing.entries)) == 1 and any(is_about(stem, paths) for stem in stems)
    return list(listing.entries) if is_for_one else []


def _nameless(listing: Listing) -> list[Entry]:
    return [entry for entry in listing.entries if entry.name is None]


def _strongest(entries: Sequence[Entry], accepted: Sequence[str], path: str) -> Digest:
    by_algorithm: dict[str, set[str]] = {}
    for entry in entries:
        by_algorithm.setdefault(entry.algorithm, set()).add(entry.value)
    of_use = {name: values for name, values in by_algorithm.items() if name in accepted}
    if not of_use:
        there = " and ".join(sorted(by_algorithm))
        reason = f"it gives only {there} for {_shown([last_of(path)])}, and {' or '.join(accepted)} is needed"
        raise ChecksumFileUnusable(reason=reason, kind="algorithms")
    if any(len(values) > 1 for values in of_use.values()):
        names = _names(entries)
        if len(names) > 1:
            reason = f"it lists several files that could be meant: {_shown(names)}"
            raise ChecksumFileUnusable(reason=reason, kind="ambiguous")
        raise ChecksumFileUnusable(
            reason=f"it gives two different digests for {_shown(names) if names else 'the file'}",
            kind="contradiction",
        )
    strongest = max(of_use, key=lambda algorithm: int(algorithm.removeprefix("sha").partition("-")[0]))
    return Digest(algorithm=strongest, value=of_use[strongest].pop())


def _names(entries: Sequence[Entry]) -> list[str]:
    names = (
        (entry.name or "").strip(" \t").removeprefix("./") for entry in entries if entry.name is not None
    )
    return list(dict.fromkeys(names))


def _shown(names: Sequence[str] | dict[str, None], between: str = ", ") -> str:
    """Print names of the other end: in ASCII, each cut, and not all of many."""
    plain = [ascii(name)[1:-1][:MAX_CHARACTERS] for name in list(names)[:MAX_NAMES]]
    more = len(names) - len(plain)
    shown = between.join(plain) or "an unnamed file"
    return f"{shown} and {more:,} more" if more > 0 else shown
