"""UDF images of optical discs, those without an ISO 9660 part.

Specification: ECMA-167 part 2 (volume recognition sequence), OSTA UDF 2.60.
Reads: the recognition sequence, from byte 32,768 to 65,536.
Structure: an extended area begins (BEA01) and names UDF (NSR02 or NSR03).
Safety: none; a disc refers to nothing outside itself.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

UDF = Kind(key="udf", words="a UDF disc image", role=Role.DISK, disk_format="iso", qemu="raw")

FIRST = 32_768
SECTORS = (2_048, 4_096, 512)
SIGNS = tuple((at + 1, (b"BEA01",)) for at in range(FIRST, 65_536, min(SECTORS)))
"""The places at which the recognition sequence may begin."""


def recognise(head: bytes) -> Report | None:
    """Find a recognition sequence that names UDF."""
    end = min(len(head), 65_536)
    if b"BEA01" not in [head[at + 1 : at + 6] for at in range(FIRST, end, min(SECTORS))]:
        return None
    for sector in SECTORS:
        names = [head[at + 1 : at + 6] for at in range(FIRST, end, sector)]
        if b"BEA01" in names and (b"NSR02" in names or b"NSR03" in names):
            return Report(kind=UDF, name="UDF disc image", facts={"file_system": "udf"})
    return None
