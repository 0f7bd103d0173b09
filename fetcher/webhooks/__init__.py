"""Tell a webhook URL that an import has ended."""

from fetcher.webhooks.dispatcher import WebhookDispatcher

__all__ = ["WebhookDispatcher"]
