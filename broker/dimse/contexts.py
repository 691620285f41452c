"""Which SOP classes we serve, in which transfer syntaxes, in our order of preference. Negotiating is elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass

from pynetdicom import AllStoragePresentationContexts

VERIFICATION = "1.2.840.10008.1.1"
MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
MODALITY_PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE = "1.2.840.10008.3.1.2.3.4"
STORAGE_COMMITMENT_PUSH = "1.2.840.10008.1.20.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"

# A modality that offers several in one context is never made to compress lossily: `negotiation` takes its first that
# is SAFE. Consoles mostly offer a context for each syntax, and then get all of them.
_LOSSLESS = (
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.92",  # JPEG 2000 Part 2 Lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.110",  # JPEG XL Lossless
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame
)
_LOSSY = (
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.93",  # JPEG 2000 Part 2
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.4.111",  # JPEG XL JPEG Recompression
    "1.2.840.10008.1.2.4.112",  # JPEG XL
    "1.2.840.10008.1.2.4.94",  # JPIP Referenced
    "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
    "1.2.840.10008.1.2.4.204",  # JPIP HTJ2K Referenced
    "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
)
_VIDEO = (
    *(
        f"1.2.840.10008.1.2.4.{number}{fragmentable}"
        for number in (100, 101, 102, 103, 104, 105, 106)  # MPEG-2, H.264
        for fragmentable in ("", ".1")
    ),
    "1.2.840.10008.1.2.4.107",  # HEVC Main
    "1.2.840.10008.1.2.4.108",  # HEVC Main 10
)

UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
DEFLATED = frozenset(
    (
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
    )
)
# Loses nothing, and receivers commonly take it: what is forwarded as it came should not be refused at the end.
SAFE = frozenset(
    (
        *UNCOMPRESSED,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5",
    )
)
STORAGE_SYNTAXES = (
    *UNCOMPRESSED,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    *_LOSSLESS,
    *_LOSSY,
    *_VIDEO,
)

# Retired, but in the statements of consoles in use; pynetdicom's list has only what is current.
RETIRED_STORAGE = (
    "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image
    "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image
    "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine Image
    "1.2.840.10008.5.1.4.1.1.8",  # Standalone Overlay
    "1.2.840.10008.5.1.4.1.1.9",  # Standalone Curve
    "1.2.840.10008.5.1.4.1.1.10",  # Standalone Modality LUT
    "1.2.840.10008.5.1.4.1.1.11",  # Standalone VOI LUT
)
STORAGE: frozenset[str] = frozenset(
    str(context.abstract_syntax) for context in AllStoragePresentationContexts
) | frozenset(RETIRED_STORAGE)
FIND: frozenset[str] = frozenset({MODALITY_WORKLIST_FIND})


@dataclass(frozen=True, slots=True)
class Supported:
    """How we serve one SOP class: the transfer syntaxes we take, best first, and whether the peer may be SCP of it."""

    transfer_syntaxes: tuple[str, ...]
    peer_may_be_scp: bool = False


SUPPORTED: Mapping[str, Supported] = {
    VERIFICATION: Supported(UNCOMPRESSED),
    MODALITY_WORKLIST_FIND: Supported(UNCOMPRESSED),
    MODALITY_PERFORMED_PROCEDURE_STEP: Supported(UNCOMPRESSED),
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE: Supported(UNCOMPRESSED),
    STORAGE_COMMITMENT_PUSH: Supported(UNCOMPRESSED, peer_may_be_scp=True),
    **{sop_class: Supported(STORAGE_SYNTAXES) for sop_class in sorted(STORAGE)},
}
