"""The errors that say "not now": the machine is short of descriptors, threads or memory.

A shortage says nothing about what was being read or written. Whoever meets one
waits and tries again; it is never damage, and never an import's final verdict.
"""

import errno

# No descriptors (of the process, of the machine), no memory, no threads or processes, no socket buffers.
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS})

# What Python says instead of an error number when a thread cannot be started.
NO_THREAD = "can't start new thread"


def is_shortage(error: BaseException) -> bool:
    """Return whether an error only says that the machine is short of something now.

    Source: open(2), pthread_create(3), socket(2) and accept(2), ERRORS.
    """
    if isinstance(error, OSError):
        return error.errno in SHORTAGES
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_THREAD in str(error))
