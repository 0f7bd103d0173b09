"""Files that are there whole, or as they were."""

from pathlib import Path


def replace_file(file: Path, data: bytes) -> None:
    """Put a file in the place of an earlier one; nothing of it is left where that fails. Its folder is made.

    Not durable: after a power loss either may be there, so what is kept so can be had again.

    Raises:
        OSError: It cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
