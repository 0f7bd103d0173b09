"""Images by name: catalogues that are fetched through the gate, kept in the store's folder, and asked."""

from fetcher.catalogues.catalogues import Catalogues, CatalogueState
from fetcher.catalogues.keeper import Keeper
from fetcher.catalogues.resolve import Resolved

__all__ = ["CatalogueState", "Catalogues", "Keeper", "Resolved"]
