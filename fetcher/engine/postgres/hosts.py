"""Rows of hosts, of what their pulls take and of chores: leases by the database's clock."""

from collections import Counter
from typing import Any

import msgspec

from fetcher.engine.values import Caps, Elsewhere, Host, HostState, Place
from fetcher.index.postgres.session import Session

UNTIL = "clock_timestamp() + make_interval(secs => :lease)"
IN_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('places', 0))"
NOWHERE = ""  # No origin is called so.
COUNTED = "places JOIN hosts ON hosts.name = places.host AND hosts.lease_until > clock_timestamp()"
ALIVE = "name = :host AND start = :start AND lease_until > clock_timestamp()"


def mine(host: Host) -> dict[str, Any]:
    """Return the parameters of a statement for this host."""
    return {"host": host.name, "start": host.start, "lease": host.lease_seconds}


async def arrive(db: Session, host: Host) -> None:
    """Take the name: what an earlier start of it had is free."""
    await db.execute("DELETE FROM hosts WHERE name = ?", [host.name])
    await db.execute("DELETE FROM chores WHERE host = ?", [host.name])
    sql = f"""INSERT INTO hosts (name, start, roles, version, engine, lease_until)
              VALUES (:host, :start, :roles, :version, :engine, {UNTIL})"""  # noqa: S608 - our expression
    facts = {"roles": ",".join(host.roles), "version": host.version, "engine": host.engine}
    await db.execute(sql, {**mine(host), **facts})


# On the host's own connection: requests that queue for one of the pool must not cost it its lease.
BEAT = """WITH forgotten AS (DELETE FROM hosts WHERE lease_until < clock_timestamp() - interval '1 day')
    UPDATE hosts SET lease_until = clock_timestamp() + make_interval(secs => %s), running = %s
    WHERE name = %s AND start = %s RETURNING TRUE"""


async def arrive_again(db: Session, host: Host) -> bool:
    """Take the name anew where it was forgotten; False when a later start has it."""
    if await db.select("SELECT 1 FROM hosts WHERE name = ?", [host.name]):
        return False
    await arrive(db, host)
    return True


async def depart(db: Session, host: Host) -> None:
    """Give everything back at once."""
    if await db.execute("DELETE FROM hosts WHERE name = ? AND start = ?", [host.name, host.start]):
        await db.execute("DELETE FROM chores WHERE host = ?", [host.name])


async def states(db: Session) -> list[HostState]:
    """Return all hosts, by name."""
    sql = """SELECT name, roles, version, engine, running,
                    extract(epoch FROM lease_until - clock_timestamp())::float AS seconds,
                    extract(epoch FROM clock_timestamp() - started_at)::float AS up_seconds,
                    (SELECT count(*) FROM places WHERE host = hosts.name) AS places,
                    ARRAY(SELECT chores.name FROM chores WHERE chores.host = hosts.name ORDER BY 1) AS chores
             FROM hosts ORDER BY name"""
    return [
        HostState(**{**row, "roles": tuple(row["roles"].split(",")), "chores": tuple(row["chores"])})
        for row in await db.select(sql)
    ]


# What else a host had does not count while its lease is over, and counts again when it is renewed.
ROOM = f"""SELECT EXISTS (SELECT 1 FROM hosts WHERE {ALIVE}) AS is_alive,
        array(SELECT id FROM places WHERE (id = :id OR request = :request) AND NOT is_alive(host)) AS gone,
        count(*) FILTER (WHERE id = :id OR request = :request) AS equal,
        count(*) FILTER (WHERE project_id = :project_id) AS project,
        count(*) FILTER (WHERE origin = :origin) AS origin
    FROM {COUNTED}"""  # noqa: S608 - our tables


async def enter(db: Session, host: Host, place: Place, caps: Caps) -> bool:
    """Take room for a pull; hosts do so one after the other, so that no cap is passed.

    What is refused changes nothing: a statement that writes no row would wake all hosts, too.
    """
    await db.execute(IN_TURN)
    wanted = msgspec.structs.asdict(place)
    [found] = await db.select(ROOM, {**mine(host), **wanted})
    if not found["is_alive"] or found["equal"]:
        return False
    if found["project"] >= caps.project or found["origin"] >= caps.origin:
        return False
    for place_id in found["gone"]:
        await leave(db, place_id)
    await db.insert("places", {**wanted, "host": host.name})
    return True


async def move(db: Session, place_id: str, origin: str, most: int) -> bool:
    """Count a pull at another origin; where there is no room, at none, so that no two wait for each other."""
    await db.execute(IN_TURN)
    sql = f"""SELECT count(*) FILTER (WHERE origin = :origin AND id <> :id) AS n,
                     (SELECT origin FROM places WHERE id = :id) AS before FROM {COUNTED}"""  # noqa: S608 - ours
    [taken] = await db.select(sql, {"origin": origin, "id": place_id})
    has_room = taken["n"] < most
    after = origin if has_room else NOWHERE
    if after != taken["before"]:  # Else a host that waits for a change would wake itself.
        await db.execute("UPDATE places SET origin = ? WHERE id = ?", [after, place_id])
    return bool(has_room)


async def seal(db: Session, place_id: str) -> None:
    """Let nobody join any more."""
    await db.execute("UPDATE places SET request = NULL WHERE id = ?", [place_id])


async def leave(db: Session, place_id: str) -> None:
    """Give room back."""
    await db.execute("DELETE FROM places WHERE id = ?", [place_id])


async def elsewhere(db: Session, host: Host) -> Elsewhere:
    """Return what pulls of other living hosts take."""
    sql = f"SELECT request, project_id, origin FROM {COUNTED} WHERE host <> ?"  # noqa: S608 - our tables
    rows = await db.select(sql, [host.name])
    return Elsewhere(
        requests=frozenset(row["request"] for row in rows if row["request"] is not None),
        by_project=Counter(row["project_id"] for row in rows),
        by_origin=Counter(row["origin"] for row in rows),
    )


async def lead(db: Session, host: Host, chore: str) -> bool:
    """Take or keep a chore."""
    sql = f"""INSERT INTO chores (name, host, lease_until)
              SELECT :chore, :host, {UNTIL} FROM hosts WHERE {ALIVE}
              ON CONFLICT (name) DO UPDATE SET host = excluded.host, lease_until = excluded.lease_until
              WHERE chores.host = excluded.host OR chores.lease_until <= clock_timestamp()"""  # noqa: S608 - our expressions
    return await db.execute(sql, {**mine(host), "chore": chore}) == 1
