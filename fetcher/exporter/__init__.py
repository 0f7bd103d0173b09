"""Images that leave: by the same gate, in the same states, to receivers that the operator allows."""

from fetcher.exporter.service import Exporter

__all__ = ["Exporter"]
