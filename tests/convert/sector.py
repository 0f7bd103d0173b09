"""A disk that proves its boot: its boot sector prints what stands in its last sector.

The code, assembled by hand from this listing (origin 7C00h, real mode):

    7C00  31 C0           xor  ax, ax
    7C02  8E D8           mov  ds, ax
    7C04  8E C0           mov  es, ax
    7C06  8E D0           mov  ss, ax
    7C08  BC 00 7C        mov  sp, 7C00h
    7C0B  FC              cld
    7C0C  BE 40 7C        mov  si, packet          ; disk address packet at 7C40h
    7C0F  B4 42           mov  ah, 42h             ; extended read; dl is the drive, from the firmware
    7C11  CD 13           int  13h
    7C13  72 17           jc   stop                ; 7C2Ch
    7C15  FA              cli                     ; the firmware prints its own lines by the timer
    7C16  BE 00 80        mov  si, 8000h           ; where the last sector was read to
    7C19  AC        next: lodsb
    7C1A  84 C0           test al, al
    7C1C  74 0E           jz   stop                ; 7C2Ch
    7C1E  88 C3           mov  bl, al
    7C20  BA FD 03        mov  dx, 3FDh            ; line status of COM1
    7C23  EC        wait: in   al, dx
    7C24  A8 20           test al, 20h             ; transmitter empty
    7C26  74 FB           jz   wait                ; 7C23h
    7C28  EB 06           jmp  send                ; 7C30h
    7C2A  90 90           nop, nop
    7C2C  FA        stop: cli
    7C2D  F4              hlt
    7C2E  EB FC           jmp  stop
    7C30  BA F8 03  send: mov  dx, 3F8h
    7C33  88 D8           mov  al, bl
    7C35  EE              out  dx, al
    7C36  EB E1           jmp  next                ; 7C19h
    7C40  10 00 01 00 00 80 00 00, then the sector's number in 8 bytes
"""

import random
from pathlib import Path

SECTOR = 512
CODE = bytes.fromhex(
    "31c0 8ed8 8ec0 8ed0 bc007c fc be407c b442 cd13 7217 fa be0080 ac 84c0 740e 88c3"
    "bafd03 ec a820 74fb eb06 9090 fa f4 ebfc baf803 88d8 ee ebe1"
)
PACKET_AT, PACKET = 0x40, bytes.fromhex("1000 0100 0080 0000")
PARTITION_AT, SIGNATURE_AT = 446, 510


def boot_sector(sectors: int) -> bytes:
    """Return the boot sector of a disk of so many sectors, with one active partition over all of it."""
    sector = bytearray(SECTOR)
    sector[: len(CODE)] = CODE
    sector[PACKET_AT : PACKET_AT + 8] = PACKET
    sector[PACKET_AT + 8 : PACKET_AT + 16] = (sectors - 1).to_bytes(8, "little")
    partition = bytes.fromhex("80 000200 83 feffff 01000000") + (sectors - 1).to_bytes(4, "little")
    sector[PARTITION_AT : PARTITION_AT + 16] = partition
    sector[SIGNATURE_AT:] = b"\x55\xaa"
    return bytes(sector)


def make_disk(path: Path, marker: str, *, size: int = 8 << 20, seed: int = 1, pieces: int = 40) -> Path:
    """Write a raw disk that prints `marker` when it boots, with data scattered over it."""
    picked = random.Random(seed)
    with path.open("wb") as file:
        for number in range(pieces):
            file.seek(picked.randrange(SECTOR, size - 200_000) // SECTOR * SECTOR)
            length = picked.choice([512, 4096, 65_536, 150_000])
            file.write(picked.randbytes(length) if number % 3 else b"text %3d " % number * (length // 9))
        file.seek(0)
        file.write(boot_sector(size // SECTOR))
        file.seek(size - SECTOR)
        file.write(marker.encode().ljust(SECTOR, b"\0"))
    return path
