"""The rows that a caller may see: the one place that decides it, as conditions of SQL."""

from dataclasses import dataclass, field

from fetcher.model import Actor

Condition = tuple[str, dict[str, object]]

EVERYTHING = "1 = 1"
OPEN_TO_ALL = ("public", "community")
MEMBER = """(images.visibility = 'shared' AND EXISTS (SELECT 1 FROM image_members
    WHERE image_members.image_id = images.id AND image_members.member_id = :actor_project{status}))"""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One part of a list of images; the parts of a list have no image in common.

    Args:
        test: The condition that one image meets to be in it.
        source: What to read it from, so that the order below comes out of an index.
        narrow: The same condition on a row of `source`, where that is not `images` alone.
        columns: Columns of `images` that `source` has in order, and their names there.
    """

    test: str
    source: str = "images"
    narrow: str = ""
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def condition(self) -> str:
        """Return what to ask of a row of `source`."""
        return self.narrow or self.test

    def column(self, name: str) -> str:
        """Return the column of `source` that an order is taken from."""
        return self.columns.get(name, name)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """All parts of a list of images, and what their conditions need."""

    arms: tuple[Arm, ...]
    arguments: dict[str, object] = field(default_factory=dict)


def own_imports(actor: Actor) -> Condition:
    """Return the imports of the caller's project; all of them for an admin."""
    if actor.is_admin:
        return EVERYTHING, {}
    return "imports.project_id = :actor_project", {"actor_project": actor.project_id}


def own_schedules(actor: Actor) -> Condition:
    """Return the schedules of the caller's project; all of them for an admin."""
    if actor.is_admin:
        return EVERYTHING, {}
    return "schedules.project_id = :actor_project", {"actor_project": actor.project_id}


def own_exports(actor: Actor) -> Condition:
    """Return the exports of the caller's project; all of them for an admin."""
    if actor.is_admin:
        return EVERYTHING, {}
    return "exports.project_id = :actor_project", {"actor_project": actor.project_id}


def readable_images(actor: Actor) -> Condition:
    """Return the images that a caller may open by id.

    Its project's own, public and community ones, and those that are shared
    with its project, accepted or not.
    """
    if actor.is_admin:
        return EVERYTHING, {}
    shared = MEMBER.format(status="")
    open_to_all = "images.visibility IN ('public', 'community')"
    condition = f"(images.project_id = :actor_project OR {open_to_all} OR {shared})"
    return condition, {"actor_project": actor.project_id}


def readable_namespaces(actor: Actor) -> Condition:
    """Return the namespaces of metadata definitions that a caller sees: public ones and its project's own."""
    if actor.is_admin:
        return EVERYTHING, {}
    return "(visibility = 'public' OR owner = :actor_project)", {"actor_project": actor.project_id}


def listed_images(actor: Actor, visibility: str | None, member_status: str, owner: str | None) -> Listed:
    """Return the images in a caller's list.

    Args:
        visibility: The only one to list; `all` for every one; None for all
            but the community images of others, which nobody asked to see.
        member_status: Of images shared with the caller's project: accepted,
            pending, rejected or all.
        owner: The only project whose images to list, its community images among them.
    """
    wanted = _wanted(visibility, owner)
    arguments: dict[str, object] = {"actor_project": actor.project_id, "visibility": visibility}
    if owner is not None:
        wanted += " AND images.project_id = :owner"
        arguments["owner"] = owner
    is_default = visibility is None and owner is None
    if actor.is_admin or visibility in OPEN_TO_ALL:
        everywhere = f"({wanted} OR images.project_id = :actor_project)" if is_default else wanted
        return Listed(arms=(Arm(test=everywhere),), arguments=arguments)
    arms = [Arm(test=f"images.project_id = :actor_project AND +{EVERYTHING if is_default else wanted}")]
    foreign = f"images.project_id <> :actor_project AND +{wanted}"
    if visibility in {None, "all"}:
        arms += [
            Arm(test=f"images.visibility = '{kind}' AND {foreign}")
            for kind in OPEN_TO_ALL
            if kind == "public" or not is_default
        ]
    if visibility in {None, "all", "shared"}:
        arms.append(_shared_with(foreign, member_status))
        arguments["member_status"] = member_status
    return Listed(arms=tuple(arms), arguments=arguments)


def _wanted(visibility: str | None, owner: str | None) -> str:
    if visibility == "all":
        return EVERYTHING
    if visibility in OPEN_TO_ALL:
        return f"images.visibility = '{visibility}'"  # As a literal: some indexes hold public images only.
    if visibility is not None:
        return "images.visibility = :visibility"
    return EVERYTHING if owner is not None else "images.visibility <> 'community'"


def _shared_with(foreign: str, member_status: str) -> Arm:
    status = "" if member_status == "all" else " AND image_members.status = :member_status"
    return Arm(
        test=f"{MEMBER.format(status=status)} AND {foreign}",
        source="image_members CROSS JOIN images ON images.id = image_members.image_id",
        narrow=f"""image_members.member_id = :actor_project{status}
                   AND +images.visibility = 'shared' AND {foreign}""",
        columns={
            "images.created_at": "image_members.image_created_at",
            "images.id": "image_members.image_id",
        },
    )
