"""The bytes that were staged for the image before."""

from fetcher.config import Settings
from fetcher.importer.methods.method import Flow, ImportMethod
from fetcher.model import Actor


def may_send(actor: Actor, settings: Settings) -> bool:
    """Return whether a caller may send bytes of their own."""
    return settings.image_api.upload_role in actor.roles


METHOD = ImportMethod(name="glance-direct", flow=Flow.STAGED, is_offered=may_send)
