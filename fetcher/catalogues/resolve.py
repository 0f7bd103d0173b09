"""From a name to what an import is asked for: URL, digest, and what the image is to be."""

import msgspec

from fetcher.config import Settings
from fetcher.model import CatalogueOrigin, Submission, Value, is_property
from fetcher.parsers.catalogues import Entry


class Resolved(Value, frozen=True, kw_only=True):
    """One image that a name led to.

    Args:
        signer: The certificate that vouches for the catalogue; None where nobody has to.
    """

    entry: Entry
    origin: CatalogueOrigin

    def fill(self, submission: Submission, settings: Settings) -> Submission:
        """Return a submission with what the catalogue says, wherever the submitter says nothing else."""
        entry = self.entry
        digest = entry.digest
        if digest is not None and digest.algorithm not in (
            *settings.checksum.accepted,
            *settings.checksum.weak,
        ):
            digest = None
        promised = submission.checksum or digest
        published = {name: value for name, value in entry.properties.items() if is_property(name)}
        sums = submission.checksum_url or (entry.checksum_url if promised is None else None)
        return msgspec.structs.replace(
            submission,
            url=entry.url,
            mirrors=tuple(
                url for url in dict.fromkeys((*submission.mirrors, *entry.mirrors)) if url != entry.url
            ),
            name=submission.name or entry.title or entry.name,
            disk_format=submission.disk_format or entry.disk_format,
            checksum=promised,
            checksum_source=self._source if submission.checksum is None else submission.checksum_source,
            checksum_url=sums,
            min_disk=max(submission.min_disk, entry.min_disk),
            min_ram=max(submission.min_ram, entry.min_ram),
            properties={**published, **submission.properties},
            catalogue=self.origin,
        )

    @property
    def _source(self) -> str:
        return "signed-catalogue" if self.origin.signer else "catalogue"

    @property
    def has_ended(self) -> bool:
        """Return whether the publisher looks after it no more."""
        return self.origin.has_ended
