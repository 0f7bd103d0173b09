"""The page: what a person sees in a browser."""

from fetcher.api.page.home import home
from fetcher.api.page.render import wants_page
from fetcher.api.page.routes import routes

__all__ = ["home", "routes", "wants_page"]
