"""Every stage of complete bytes, in order; a new one is a file and a line here."""

from fetcher.importer.receive.complete import Complete
from fetcher.importer.stages import commit, convert, hand_over, verification
from fetcher.importer.stages.stage import Carrier, Stage

STAGES: tuple[Stage, ...] = (
    verification.STAGE,
    convert.STAGE,
    hand_over.STAGE,
    commit.STAGE,
)


def check_order(stages: tuple[Stage, ...]) -> None:
    """Refuse a list in which a stage comes before one that it needs.

    Raises:
        ValueError: It does, or a name stands twice.
    """
    earlier: list[Stage] = []
    for stage in stages:
        names = {one.name for one in earlier}
        if stage.name in names:
            raise ValueError(f"two stages are called {stage.name}")
        if missing := set(stage.needs) - names:
            raise ValueError(f"{stage.name} needs {', '.join(sorted(missing))} before it")
        if stage.per_attempt and not all(one.per_attempt for one in earlier):
            raise ValueError(f"{stage.name} is of an attempt, and stands behind one that is not")
        earlier.append(stage)


check_order(STAGES)


def takes_known_bytes() -> bool:
    """Return whether bytes of an earlier import may stand in for those of a source that still has them."""
    return not any(stage.judges for stage in STAGES)


async def run_attempt(carrier: Carrier, body: Complete) -> Complete:
    """Let the stages judge a body whose source can still be asked for another.

    Raises:
        Failure: The first one's that refuses.
    """
    for stage in STAGES:
        if stage.per_attempt:
            earlier, body = body, await _run(stage, carrier, body) or body
            if body is not earlier:
                carrier.change(stages=body.stages)
    return body


async def run_rest(carrier: Carrier, body: Complete) -> None:
    """Take a body through the stages that follow; a file that one made and nobody kept is removed.

    Raises:
        Failure: The first one's that refuses.
    """
    store, received = carrier.context.store, body.staged
    try:
        for stage in STAGES:
            if stage.per_attempt:
                continue
            earlier, made = body, await _run(stage, carrier, body)
            if made is None:
                return
            body = made
            if body.staged is not earlier.staged:
                await store.discard(earlier.staged)  # Whoever sees the image finds nothing else of it.
            if body is not earlier:
                carrier.change(format=body.format, digests=body.digests, stages=body.stages)
    finally:
        if body.staged is not received:
            await store.discard(body.staged)


async def _run(stage: Stage, carrier: Carrier, body: Complete) -> Complete | None:
    made = await stage.run(carrier, body)
    if made is not None and (more := made.stages.keys() - body.stages.keys() - set(stage.adds)):
        raise ValueError(f"the stage {stage.name} does not declare that it adds {', '.join(sorted(more))}")
    return made
