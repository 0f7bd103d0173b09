"""Keep stored images whole: scrub, repair, fsck, backup, expiry."""

from fetcher.maintenance.service import Maintenance

__all__ = ["Maintenance"]
