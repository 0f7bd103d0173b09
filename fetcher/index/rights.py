"""Rights to change things; which rows a caller sees is for each index to say in its own language."""

from fetcher.model import Actor


def may_change(actor: Actor, project_id: str) -> bool:
    """Return whether a caller may change what belongs to a project."""
    return actor.is_admin or actor.project_id == project_id
