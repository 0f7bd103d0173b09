"""The states of an import, and the one table of the moves between them.

An import is a small state machine. It has seven states: three in which work
is left (queued, running, waiting) and four in which none is (succeeded,
refused, failed, cancelled). A state changes only because something happened,
and what can happen is an event of this table. A pair of state and event that
is not in the table is a fault of the program: `next_state` raises IllegalMove,
and so does the index, which compares each row it writes with the row that is
there (`origins_of`). So an import that has ended stays as it ended, whoever
writes late, and no run can begin twice.

How an import comes to be is in the table too, under no state at all:

  SUBMIT    somebody asked for a URL. The import waits for its turn.
  RECEIVE   somebody sends the bytes in the request itself, so there is no turn
            to wait for.

Then, while work is left:

  CLAIM     the scheduler takes it from the queue for a run. The claim number
            goes up, and every write of the run carries it.
  ATTEMPT   the run asks a source, for the first time or once more.
  PAUSE     an attempt failed, and another one is worth the wait.
  REQUEUE   the run gives it up unfinished: the job it was to join was over, or
            the service is stopping or has been started again. A start requeues
            what was queued as well, which changes its claim alone.

And at last, one of four ends. They are the only events that carry a verdict:

  SUCCEED   the image is active, or the bytes are staged.
  REFUSE    a guard said no, and would say so again.
  FAIL      a source or this service failed.
  CANCEL    its owner said so.

Progress (bytes, phase, format, attempts) is not an event: it is written again
and again within one state. Two things are not states either. A phase says what
a running import is doing and may go back and forth with each attempt. The
status of the image belongs to the image, which may outlive its imports.
"""

from collections.abc import Iterator
from enum import StrEnum


class State(StrEnum):
    """The state of an import.

    Attributes:
        is_final: Nothing can follow; by the table.
    """

    is_final: bool

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """The cause of a move from one state to another."""

    SUBMIT = "submit"
    RECEIVE = "receive"
    CLAIM = "claim"
    ATTEMPT = "attempt"
    PAUSE = "pause"
    REQUEUE = "requeue"
    SUCCEED = "succeed"
    REFUSE = "refuse"
    FAIL = "fail"
    CANCEL = "cancel"


TABLE: dict[State | None, dict[Event, State]] = {
    None: {
        Event.SUBMIT: State.QUEUED,
        Event.RECEIVE: State.RUNNING,
    },
    State.QUEUED: {
        Event.CLAIM: State.RUNNING,
        Event.REQUEUE: State.QUEUED,
        Event.CANCEL: State.CANCELLED,
    },
    State.RUNNING: {
        Event.ATTEMPT: State.RUNNING,
        Event.PAUSE: State.WAITING,
        Event.REQUEUE: State.QUEUED,
        Event.SUCCEED: State.SUCCEEDED,
        Event.REFUSE: State.REFUSED,
        Event.FAIL: State.FAILED,
        Event.CANCEL: State.CANCELLED,
    },
    State.WAITING: {
        Event.PAUSE: State.WAITING,
        Event.ATTEMPT: State.RUNNING,
        Event.REQUEUE: State.QUEUED,
        Event.REFUSE: State.REFUSED,
        Event.FAIL: State.FAILED,
        Event.CANCEL: State.CANCELLED,
    },
    State.SUCCEEDED: {},
    State.REFUSED: {},
    State.FAILED: {},
    State.CANCELLED: {},
}
for _state in State:
    _state.is_final = not TABLE[_state]

ENDS = frozenset({Event.SUCCEED, Event.REFUSE, Event.FAIL, Event.CANCEL})


class IllegalMove(Exception):
    """A state was to change in a way that the table does not have: a fault of the program."""

    def __init__(self, state: State | None, event: Event | State) -> None:
        super().__init__(f"an import that is {state or 'new'} cannot {event.value}")
        self.state = state
        self.event = event


def next_state(state: State | None, event: Event) -> State:
    """Return the state that follows; `state` is None for an import that comes to be.

    Raises:
        IllegalMove: The table has no such move.
    """
    try:
        return TABLE[state][event]
    except KeyError as error:
        raise IllegalMove(state, event) from error


def origins_of(state: State) -> frozenset[State]:
    """Return the states whose row a record in `state` may replace; progress leaves a row in its state."""
    origins = {origin for origin, moves in TABLE.items() if origin is not None and state in moves.values()}
    return frozenset(origins if state.is_final else origins | {state})


def moves() -> Iterator[tuple[State | None, Event, State]]:
    """Go through the table: state, event, next state."""
    for state, row in TABLE.items():
        for event, following in row.items():
            yield state, event, following


def diagram() -> str:
    """Return the table as a state diagram in Mermaid's language."""
    lines = ["stateDiagram-v2"]
    for state, event, following in moves():
        lines.append(f"    {state.value if state else '[*]'} --> {following.value}: {event.value}")
    lines += [f"    {state.value} --> [*]" for state in State if state.is_final]
    return "\n".join(lines) + "\n"
