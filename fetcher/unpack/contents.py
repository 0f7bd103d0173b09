"""The contents of an archive: the member that is the disk, and whether that is clear.

Tar and zip share these rules. Members come one after another and nothing is known of those behind,
so a descriptor that comes after the disk can only confirm the choice. Names are compared and shown,
and never reach a file system.
"""

from enum import Enum

from fetcher.errors import DiskUnclear, TooManyBytes, UnpackFailed
from fetcher.parsers.archives.names import is_hidden, spellings
from fetcher.parsers.archives.ovf import OvfDisk
from fetcher.unpack.appliance.ovf import Appliance
from fetcher.unpack.appliance.papers import Paper, Papers, folder_of, paper_of
from fetcher.unpack.choice import Guess, guess, is_archive
from fetcher.unpack.links import Links
from fetcher.unpack.packings import recognise
from fetcher.unpack.parts import is_piece, neighbours
from fetcher.unpack.values import Evidence, Layer, UnpackLimits, shorten

GIB, MIB = 1 << 30, 1 << 20
MAX_NAME_CHARACTERS = 1_000


class Use(Enum):
    """The fate of a member."""

    SKIP = "skip"
    DISK = "disk"


class Contents:
    """The members of one archive, in their order.

    Args:
        layer: Whose member is noted.
        limits: What an archive may hold.
        asked: The disk that was chosen, by name or by number from 1; None: there has to be exactly one.
        evidence: Is filled in.

    Attributes:
        asked: Becomes None when it has been met; else it speaks of an archive inside.
    """

    def __init__(self, layer: Layer, limits: UnpackLimits, asked: str | None, evidence: Evidence) -> None:
        self.asked = asked
        self._layer = layer
        self._limits = limits
        self._evidence = evidence
        self._papers = Papers(layer, limits, evidence)
        self._names: set[str] = set()
        self._disks: list[str] = []
        self._unknown: list[str] = []
        self._is_likely = False
        self._chosen: str | None = None
        self._chosen_is_gzip = False
        self._was_asked = asked is not None
        self._links = Links(layer)

    def note_folder(self, name: str) -> None:
        """Take a member that is only a folder."""
        self._note_name(name.rstrip("/") or ".")

    def note_link(self, name: str, target: str, *, is_hard: bool) -> None:
        """Take a member that is another name of a file; nothing is ever read through it.

        Args:
            target: From the folder of the archive for a hard link, from its own folder otherwise.

        Raises:
            UnpackFailed: It leads out of the archive, or stands for a paper of an OVA.
            DiskUnclear: It was asked for as the disk.
        """
        name = self._note_name(name)
        place = self._follow_link(name, target, is_hard=is_hard)
        if self._is_asked(name):
            raise self._unclear(f"what was asked for is a link to {shorten(place)}", [place])
        self._evidence.skipped.append(shorten(name))

    def find_link(self, name: str, target: str) -> None:
        """Take it that a member that was read is a link, as the directory at the end of a zip tells.

        Raises:
            UnpackFailed: As `note_link`.
            DiskUnclear: It was taken for the disk.
        """
        name = name.removeprefix("./")
        place = self._follow_link(name, target, is_hard=False)
        if name == self._layer.member:
            raise self._unclear(f"the disk that was found is a link to {shorten(place)}", [place])

    def _follow_link(self, name: str, target: str, *, is_hard: bool) -> str:
        if self._layer.packing == "ova" or self._papers.appliance is not None or paper_of(name) is not None:
            raise self._failed("member-type", "a member of an OVA is a link, not a regular file")
        return self._links.add(name, target, is_hard=is_hard)

    def open(self, name: str, size: int | None, head: bytes) -> Use:
        """Decide what becomes of a regular member.

        Args:
            name: As it is written.
            size: Of its content; None where only its end shows it.
            head: Its first 512 bytes.

        Raises:
            UnpackFailed: Its name is not one that an archive of images has, there are too many, or it is a
                part of a disk.
            DiskUnclear: It is a second disk.
            TooManyBytes: It is the disk, and larger than the output may be.
        """
        name = self._note_name(name)
        kind = guess(name, size, head, max_side_bytes=self._limits.max_side_bytes)
        is_beside = folder_of(name) == self._papers.folder or kind is Guess.SIDE
        if self._layer.packing == "ova" and self._papers.appliance is not None and not is_beside:
            raise self._failed("member-name", "a member of an OVA is not beside its descriptor")
        self._papers.open(name, size)
        use = self._use(name, kind, head)
        self._check_whole(name, use)
        if use is Use.DISK:
            self._choose(name, size, head)
        elif paper_of(name) is None:
            self._evidence.skipped.append(shorten(name))
        return use

    def take(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the open member."""
        self._papers.take(data)

    def close(self) -> None:
        """End the open member."""
        appliance = self._papers.appliance if self._papers.close() is Paper.DESCRIPTOR else None
        if appliance is not None:
            self._follow(appliance)

    def _note_name(self, name: str) -> str:
        """Check and count a name, and return it without a leading `./`."""
        plain = name.removeprefix("./") or "."
        is_inside = not plain.startswith("/") and ".." not in plain.split("/") and "\\" not in plain
        is_readable = plain.isprintable() and "\ufffd" not in plain and len(plain) <= MAX_NAME_CHARACTERS
        if not is_inside or not is_readable:
            raise self._failed("member-name", "the name of a member is no plain path inside the archive")
        if plain in self._names:
            raise self._failed("member-name", "two members have the same name")
        self._names.add(plain)
        if len(self._names) > self._limits.max_members:
            raise self._failed("members", f"it has more than {self._limits.max_members:,} members")
        return plain

    def _use(self, name: str, kind: Guess, head: bytes) -> Use:
        if is_hidden(name) or paper_of(name) is not None:
            return Use.SKIP
        if self._papers.appliance is not None:
            return Use.DISK if self._chosen is not None and name in spellings(self._chosen) else Use.SKIP
        if self._is_asked(name):
            self.asked = None
            return Use.DISK
        if kind is not Guess.SIDE and not self._was_asked:
            self._check_alone(name, kind)
        is_disk = kind in (Guess.DISK, Guess.LIKELY)
        return Use.DISK if is_disk and self._is_meant(name, head) else Use.SKIP

    def _is_meant(self, name: str, head: bytes) -> bool:
        """Count a disk, and return whether it is the one to take, or an archive that may hold it."""
        self._disks.append(name)
        if self.asked == str(len(self._disks)) and not is_archive(name, head):
            self.asked = None
            return True
        return not self._was_asked or is_archive(name, head)

    def _check_alone(self, name: str, kind: Guess) -> None:
        """Refuse a disk that only its beginning shows, beside a file that may be as much of one."""
        if kind is Guess.UNKNOWN:
            self._unknown.append(name)
        self._is_likely = self._is_likely or kind is Guess.LIKELY
        if self._is_likely and self._unknown:
            found = [self._chosen] if self._chosen is not None else []
            names = dict.fromkeys([*found, name, *self._unknown])
            raise self._unclear("no name says which of its files is the disk", list(names))

    def _check_whole(self, name: str, use: Use) -> None:
        """Refuse a disk of which other members are the rest."""
        if self._papers.appliance is not None:
            return  # Whose descriptor says what a file is.
        disk = name if use is Use.DISK else self._chosen
        others = {name} if use is Use.SKIP else self._names
        if disk is not None and (is_piece(disk) or not others.isdisjoint(neighbours(disk))):
            hint = "Put the parts together, or export the disk as one file, and submit that."
            raise UnpackFailed(
                packing=self._layer.packing, rule="parts", reason="it holds a disk in parts", hint=hint
            )

    def _is_asked(self, name: str) -> bool:
        """Return whether a member was chosen by its name, with or without its folders."""
        return self.asked is not None and self.asked.removeprefix("./") in {name, name.rpartition("/")[2]}

    def _choose(self, name: str, size: int | None, head: bytes) -> None:
        is_other = self._chosen is not None and name not in spellings(self._chosen)
        if is_other or self._layer.member is not None:
            raise self._unclear("it has more than one disk", self._disks)
        packing = recognise(head)
        most = self._limits.max_output_bytes
        if packing is None and size is not None and size > most:
            raise TooManyBytes(max_bytes=most, declared_bytes=size)
        self._chosen = name
        self._chosen_is_gzip = packing == "gzip"
        self._layer.member = name
        if self._papers.appliance is not None:
            self._check_compression(self._papers.appliance)

    def _follow(self, appliance: Appliance) -> None:
        """Choose the disk that a descriptor names, or confirm the one that came before it."""
        if self._links:
            raise self._failed("member-type", "a member of an OVA is a link, not a regular file")
        disk = self._described(appliance)
        name = self._name_of(disk)
        if self._chosen is None and name in self._names:
            raise self._unclear("the chosen disk lies before the descriptor that names it", [name])
        if self._chosen is not None and self._chosen != name:
            raise self._unclear("its descriptor names another disk than the one found first", self._disks)
        if self._chosen is not None:
            self._check_compression(appliance)
        self._chosen = name
        self._describe(appliance, disk)

    def _described(self, appliance: Appliance) -> OvfDisk:
        """Choose a disk of a descriptor."""
        self._disks = [self._papers.folder + disk.name for disk in appliance.disks]
        if not self._was_asked or (self.asked is None and self._chosen is None):
            return self._only(appliance)
        for number, disk in enumerate(appliance.disks, start=1):
            name = self._name_of(disk)
            is_met = self._is_asked(name) or self.asked in {str(number), disk.id}
            if is_met or (self.asked is None and name == self._chosen):
                self.asked = None
                return disk
        raise self._unclear("its descriptor does not have the disk that was asked for", self._disks)

    def _only(self, appliance: Appliance) -> OvfDisk:
        if len(appliance.disks) != 1:
            count = len(appliance.disks)
            raise self._unclear(f"its descriptor has {count or 'no'} disk{'s' * (count != 1)}", self._disks)
        return appliance.disks[0]

    def _check_compression(self, appliance: Appliance) -> None:
        for disk in appliance.disks:
            is_chosen = self._chosen in spellings(self._papers.folder + disk.name)
            if is_chosen and disk.is_gzip and not self._chosen_is_gzip:
                raise self._failed("compression", "its descriptor says gzip of a disk that is not")

    def _name_of(self, disk: OvfDisk) -> str:
        """Return the name of the member that a disk is, or of the one that is to come."""
        written = self._papers.folder + disk.name
        return next((name for name in spellings(written) if name in self._names), written)

    def _describe(self, appliance: Appliance, disk: OvfDisk) -> None:
        machine, evidence = appliance.machine, self._evidence
        evidence.properties = machine.disk_buses.get(disk.id, {}) | machine.properties
        if machine.memory_bytes:
            evidence.min_ram_mib = -(-machine.memory_bytes // MIB)
        if disk.capacity_bytes:
            evidence.min_disk_gib = -(-disk.capacity_bytes // GIB)
        facts = {
            "processors": machine.processors,
            "disks": len(appliance.disks),
            "systems": appliance.systems,
        }
        evidence.facts |= {key: value for key, value in facts.items() if value is not None}

    def note_missing_end(self) -> None:
        """Take it that the archive has no mark of its end, and that it is whole all the same."""
        self._evidence.facts["end_mark"] = "missing"

    def conclude(self) -> None:
        """Judge the archive as a whole, after its last member.

        Raises:
            DiskUnclear: There was no disk, or not the one that was asked for.
            UnpackFailed: The papers and the members do not agree.
            ChecksumMismatch: A member is not what the manifest says.
        """
        disk = self._layer.member
        self._links.check_below(self._names)
        if disk is None:
            self._papers.check_references(self._names)
            is_missed = self._was_asked and self._disks
            missing = "it does not have the disk that was asked for" if is_missed else "it has no disk image"
            raise self._unclear(missing, self._disks)
        self._papers.conclude(disk, self._names)

    def _unclear(self, reason: str, disks: list[str]) -> DiskUnclear:
        packing, shown = self._layer.packing, [shorten(name) for name in disks[:16]]
        if disks:
            return DiskUnclear(packing=packing, reason=reason, disks=shown)
        members = ", ".join(shorten(name) for name in sorted(self._names)[:16]) or "none"
        hint = f"Submit an archive with one disk image. Its members: {members}."
        return DiskUnclear(packing=packing, reason=reason, disks=shown, hint=hint)

    def _failed(self, rule: str, reason: str) -> UnpackFailed:
        hint = "Make the archive anew with the disk image only, or unpack it and submit the disk image."
        return UnpackFailed(packing=self._layer.packing, rule=rule, reason=reason, hint=hint)
