"""The page: what a person sees in a browser."""

from fetcher.api.page.form.submitting import home
from fetcher.api.page.render import wants_page
from fetcher.api.page.routes import routes
from fetcher.api.page.shown import failed, problem_page

__all__ = ["failed", "home", "problem_page", "routes", "wants_page"]
