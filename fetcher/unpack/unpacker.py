"""The unpacking of one file: packed bytes in, the bytes of its disk out."""

from collections.abc import Callable, Iterator

from fetcher.errors import Failure, TooManyBytes, UnpackFailed
from fetcher.unpack.archives.tar import Tar
from fetcher.unpack.archives.zipped import Zip
from fetcher.unpack.contents import Contents
from fetcher.unpack.decoders import CODECS
from fetcher.unpack.packed import unpack_streams
from fetcher.unpack.packings import HEAD_BYTES, recognise
from fetcher.unpack.steps import Driver
from fetcher.unpack.values import Evidence, Layer, Piece, Plan, Stage, UnpackLimits, Zeros, plain

TARS = ("tar", "ova", "box")


class Unpacker:
    """Takes a file apart while it streams past, layer by layer, down to one disk.

    Layers are found out from the bytes alone. A file that is not packed comes out as it is. Memory is
    bounded by the limits: one piece for each layer, and each decoder's window.

        for chunk in source:
            for piece in unpacker.feed(chunk):
                keep(piece)
        for piece in unpacker.finish():
            keep(piece)

    Nothing that came out counts before `finish` has ended: only then all check sums, directories and
    manifests have been compared. One thread at a time may drive it; it may be dropped between any two pieces.

    Args:
        limits: What it may cost.
        disk: Which disk of an archive, by name or by number from 1; None: there has to be exactly one.
        tells_zeros: Yield the holes of sparse files as `Zeros` instead of bytes.
        is_proven: Tells at the end whether something else than the bytes shows that all of them came.

    Attributes:
        evidence: What was found out beside the disk; complete after `finish`.
    """

    def __init__(
        self,
        *,
        limits: UnpackLimits,
        disk: str | None = None,
        tells_zeros: bool = False,
        is_proven: Callable[[], bool] = lambda: False,
    ) -> None:
        self.evidence = Evidence()
        self._limits = limits
        self._disk = disk
        self._tells_zeros = tells_zeros
        self._is_proven = is_proven
        self._stages: list[Stage] = []
        self._head: bytearray | None = bytearray()
        self._output_bytes = 0
        self._failure: Failure | None = None
        self._is_running = False
        self._contents: Contents | None = None

    @property
    def plan(self) -> Plan:
        """Return the layers that have been found so far, outermost first, with their counts."""
        return Plan(tuple(stage.layer for stage in self._stages))

    @property
    def weight(self) -> int:
        """Return the processor time for a gibibyte of output, in units of gzip's; 0 without layers."""
        return sum(CODECS[layer.packing].weight for layer in self.plan.layers if layer.packing in CODECS)

    def feed(self, packed: bytes | memoryview) -> Iterator[Piece]:
        """Yield the pieces that the next bytes give, each at most a mebibyte, as they are asked for.

        Raises:
            UnpackFailed: The file is damaged, breaks a rule of its format or exceeds a limit.
            DiskUnclear: An archive has several disks, or none.
            TooManyBytes: The output or a layer is longer than the limit; nothing past it was yielded.
            ChecksumMismatch: A member is not what the archive's manifest says.
            RuntimeError: An earlier iterator was not run to its end.
        """
        return self._guarded(self._push(0, memoryview(packed)) if len(packed) else iter(()))

    def finish(self) -> Iterator[Piece]:
        """Yield the rest after the last byte, then judge every layer as a whole.

        Raises:
            Failure: As `feed`.
        """
        return self._guarded(self._finish())

    def _guarded(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Let nothing come after a failure, nor after an iterator that was dropped."""
        if self._failure is not None:
            raise self._failure
        if self._is_running:
            raise RuntimeError("an earlier iterator was not run to its end")
        self._is_running = True
        return self._watched(pieces)

    def _watched(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        try:
            yield from pieces
        except Failure as failure:
            self._failure = failure
            raise
        self._is_running = False

    def _finish(self) -> Iterator[Piece]:
        depth = 0
        while True:
            if depth == len(self._stages) and self._head is not None:
                yield from self._settle(depth)
            if depth == len(self._stages):
                self._check_output()
                return
            yield from self._descend(depth, self._stages[depth].finish())
            depth += 1

    def _check_output(self) -> None:
        """Refuse what held nothing."""
        if self._stages and not self._output_bytes:
            raise UnpackFailed(
                packing=self._stages[-1].layer.packing,
                rule="empty",
                reason="there is nothing inside",
                hint="Pack the disk image anew, and test the file before you publish it.",
            )

    def _push(self, depth: int, piece: Piece) -> Iterator[Piece]:
        """Let a piece enter a layer, or come out behind the last."""
        if depth < len(self._stages):
            yield from self._descend(depth, self._stages[depth].feed(memoryview(plain(piece))))
        elif self._head is None:
            yield self._counted(piece)
        else:
            yield from self._sniff(depth, self._head, piece)

    def _descend(self, depth: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Hand what a layer gives to the next one."""
        layer, most = self._stages[depth].layer, self._limits.max_layer_bytes
        for piece in pieces:
            layer.bytes_out += len(piece)
            if layer.bytes_out > most:
                raise TooManyBytes(max_bytes=most)
            yield from self._push(depth + 1, piece)

    def _sniff(self, depth: int, head: bytearray, piece: Piece) -> Iterator[Piece]:
        """Gather the first bytes of a layer, until they show what it is."""
        wanted = HEAD_BYTES - len(head)
        if isinstance(piece, Zeros) and not head and len(piece) >= wanted:
            self._head = None  # Nothing that is packed begins with so many zeros.
            yield self._counted(piece)
            return
        view = memoryview(plain(piece))
        head += view[:wanted]
        if len(head) < HEAD_BYTES:
            return
        yield from self._settle(depth)
        if len(view) > wanted:
            yield from self._push(depth, view[wanted:])

    def _settle(self, depth: int) -> Iterator[Piece]:
        """Decide what a layer is, and let its first bytes go on."""
        head = bytes(self._head or b"")
        self._head = None
        packing = recognise(head)
        if packing is not None:
            self._add(packing)
            self._head = bytearray()
        if head:
            yield from self._push(depth, memoryview(head))

    def _add(self, packing: str) -> None:
        """Open a layer."""
        outer = [layer.packing for layer in self.plan.layers]
        kinds = ["tar" if key in TARS else key for key in outer]
        if ("tar" if packing in TARS else packing) in kinds:
            raise self._nested(
                packing, f"there is {packing} inside {outer[-1]}, and each format may come once"
            )
        if len(outer) >= self._limits.max_layers:
            raise self._nested(packing, f"it is packed more than {self._limits.max_layers} times")
        layer = Layer(packing=packing)
        self._stages.append(self._stage(layer))

    def _stage(self, layer: Layer) -> Stage:
        if layer.packing in CODECS:
            return Driver(layer, unpack_streams(layer, self._limits))
        asked = self._disk if self._contents is None else self._contents.asked
        self._contents = contents = Contents(layer, self._limits, asked, self.evidence)
        if layer.packing == "zip":
            return Driver(layer, Zip(layer, self._limits, contents).steps())
        outer = self._stages[-1].layer if self._stages else None
        tar = Tar(layer, self._limits, contents, lambda: _ends_by_itself(outer) or self._is_proven())
        return Driver(layer, tar.steps())

    def _nested(self, packing: str, reason: str) -> UnpackFailed:
        hint = "Unpack the file yourself, and submit the disk image or pack it once."
        return UnpackFailed(packing=packing, rule="nested", reason=reason, hint=hint)

    def _counted(self, piece: Piece) -> Piece:
        """Count a piece of output against its cap."""
        self._output_bytes += len(piece)
        if self._output_bytes > self._limits.max_output_bytes:
            raise TooManyBytes(max_bytes=self._limits.max_output_bytes)
        return piece if self._tells_zeros else plain(piece)


def _ends_by_itself(layer: Layer | None) -> bool:
    """Answer whether what a layer gave, of which the end has come, cannot be a part of what was packed.

    Several streams may be the first of more, and the old form of lz4 ends with its file.
    """
    return layer is not None and layer.packing != "lz4" and layer.streams <= 1
