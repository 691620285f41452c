"""The process that decodes: one line of JSON in for each file, one out. Started by `copies`, and by nothing else.

A process of its own, since decoding holds the interpreter for long, and a broken file may end a decoder written in C.
Whatever goes wrong with one file is told without a word of its content.
"""

import hashlib
import json
import os
import resource
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

_MEMORY = 8 * 1024**3
_LARGEST = 2 * 1024**3  # decoded; an explicit length has room for twice as much (PS3.5 7.1.2)
_PIECE = 1024 * 1024


def main() -> None:
    """Answer lines until there are no more."""
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            source = _part10(Path(asked["source"]), bytes.fromhex(asked["head"]), asked["offset"], asked["length"])
            answer = transcoded(source, Path(asked["copy"]), asked["syntax"], asked["lossy_method"])
        except MemoryError:
            answer = {"problem": "it needs more memory than it may have"}
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises is about this file alone
            answer = {"problem": f"its pixel data cannot be decoded ({type(error).__name__})"}
        print(json.dumps(answer), flush=True)


def _part10(source: Path, head: bytes, offset: int, length: int) -> BytesIO:
    """Return the DICOM file of an instance that may lie among others."""
    with source.open("rb") as stream:
        stream.seek(offset)
        return BytesIO(head + stream.read(length))


def transcoded(source: BytesIO | Path, copy: Path, syntax: str, lossy_method: str) -> dict[str, Any]:
    """Write a Part 10 file in another syntax; return where its data set is, or the problem. UIDs stay.

    Pixels are those that the decoder gives; what was lossy says so (PS3.3 C.7.6.1.1.5).
    """
    from pydicom import dcmread  # noqa: PLC0415 - after the limit of memory
    from pydicom.uid import UID  # noqa: PLC0415

    data_set = dcmread(source)
    own = UID(data_set.file_meta.TransferSyntaxUID)
    if own.is_encapsulated and "PixelData" in data_set:
        if problem := _problem(data_set, own):
            return {"problem": problem}
        # A lossy codec's own colours are decoded as every viewer does; others stay as they are, bit for bit.
        data_set.decompress(as_rgb=bool(lossy_method), generate_instance_uid=False)
        if data_set.PhotometricInterpretation == "YBR_FULL_422":
            data_set.PhotometricInterpretation = "YBR_FULL"  # decoded, each pixel has its own chrominance
        if lossy_method and data_set.get("LossyImageCompression") != "01":
            data_set.LossyImageCompression, data_set.LossyImageCompressionMethod = "01", lossy_method
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    for private in ("PrivateInformationCreatorUID", "PrivateInformation"):
        data_set.file_meta.pop(private, None)  # how it came in is nobody's else
    data_set.save_as(copy, implicit_vr=UID(syntax).is_implicit_VR, little_endian=True)
    return _found(copy)


def _problem(data_set: Any, syntax: Any) -> str:
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415

    decoder = get_decoder(syntax)
    if not decoder.is_available:
        needed = " or ".join(decoder.missing_dependencies)
        return f"this machine has no decoder for it: run `make transcoding` ({needed})"
    octets = data_set.Rows * data_set.Columns * data_set.SamplesPerPixel * data_set.BitsAllocated // 8
    octets *= int(data_set.get("NumberOfFrames") or 1)
    return f"decoded it would have {octets} bytes, more than {_LARGEST}" if octets > _LARGEST else ""


def _found(copy: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with copy.open("rb") as stream:
        start = stream.read(144)
        offset = 144 + int.from_bytes(start[140:144], "little")
        stream.seek(offset)
        while piece := stream.read(_PIECE):
            digest.update(piece)
        return {"offset": offset, "length": stream.tell() - offset, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    main()
