"""Keep stored images whole and their story signed: scrub, repair, fsck, backup, expiry, attestations."""

from fetcher.maintenance.attestor import Attestor
from fetcher.maintenance.service import Maintenance

__all__ = ["Attestor", "Maintenance"]
