"""The page: what a person sees in a browser."""

from fetcher.api.page.render import wants_page
from fetcher.api.page.routes import routes
from fetcher.api.page.submitting import home

__all__ = ["home", "routes", "wants_page"]
