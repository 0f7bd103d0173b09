"""The door: a client costs next to nothing until a whole head is there."""

from fetcher.api.inbound.door.anteroom import Anteroom, Waiting
from fetcher.api.inbound.door.entry import Entry
from fetcher.api.inbound.door.listener import HandOver, Listener

__all__ = ["Anteroom", "Entry", "HandOver", "Listener", "Waiting"]
