"""Which rows a caller may see: the one place that decides it, as conditions of SQL."""

from fetcher.model import Actor

Condition = tuple[str, dict[str, object]]


def own_imports(actor: Actor) -> Condition:
    """The imports of the caller's project; all of them for an admin."""
    if actor.is_admin:
        return "1", {}
    return "imports.project_id = :actor_project", {"actor_project": actor.project_id}


def readable_images(actor: Actor) -> Condition:
    """The images that a caller may open by id: its project's own, public and community ones."""
    if actor.is_admin:
        return "1", {}
    condition = "(images.project_id = :actor_project OR images.visibility IN ('public', 'community'))"
    return condition, {"actor_project": actor.project_id}


def own_images(actor: Actor) -> Condition:
    """The images that a caller may change."""
    if actor.is_admin:
        return "1", {}
    return "images.project_id = :actor_project", {"actor_project": actor.project_id}
