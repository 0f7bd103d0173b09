"""Runs programs that read untrusted bytes where they can reach nothing else."""

from fetcher.convert.sandbox.probe import probe_walls
from fetcher.convert.sandbox.rules import Rules, Walls
from fetcher.convert.sandbox.runner import Ended, run

__all__ = ["Ended", "Rules", "Walls", "probe_walls", "run"]
