"""How an outcome or an error is said on each wire: the only such tables. Decides no outcome."""

from broker.commitment.model import CommitmentRefused
from broker.dimse.service import Answer, NormalizedAnswer
from broker.errors import BrokerError, Unavailable
from broker.procedures.model import StepRefused
from broker.spool.errors import CANNOT_UNDERSTAND, BadInstance

# --- DICOM -------------------------------------------------------------------------------------------------------

OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1: the sender keeps the instance and sends it again


def store_status(error: BrokerError) -> Answer:
    """Return the C-STORE answer for what stopped an instance: the sender's fault, or ours for now."""
    if isinstance(error, BadInstance):
        return Answer(error.status, error.comment)
    if isinstance(error, Unavailable):
        return Answer(OUT_OF_RESOURCES, "cannot be made durable now, send it again")
    return Answer(CANNOT_UNDERSTAND, str(error)[:64])


RESOURCE_LIMITATION = 0x0213  # PS3.7 annex C: the modality sends it again
PROCESSING_FAILURE = 0x0110


def step_answer(error: BrokerError) -> NormalizedAnswer:
    """Return the MPPS answer for what stopped a request (PS3.7 annex C): the modality's fault, or ours for now."""
    if isinstance(error, StepRefused):
        comment = error.text[:64]
        return NormalizedAnswer(
            error.status, error.data_set, error_comment=comment, error_id=error.error_id, attributes=error.missing
        )
    if isinstance(error, Unavailable):
        return NormalizedAnswer(RESOURCE_LIMITATION, error_comment="cannot be made durable now, send it again")
    return NormalizedAnswer(PROCESSING_FAILURE, error_comment=str(error)[:64])


def commitment_answer(error: BrokerError) -> NormalizedAnswer:
    """Return the answer to an N-ACTION that was not taken (PS3.4 J.3.2.1.4): its transaction is dead."""
    if isinstance(error, CommitmentRefused):
        return NormalizedAnswer(error.status, error_comment=error.text[:64])
    if isinstance(error, Unavailable):
        return NormalizedAnswer(RESOURCE_LIMITATION, error_comment="cannot be made durable now, send it again")
    return NormalizedAnswer(PROCESSING_FAILURE, error_comment=str(error)[:64])


# --- HL7 ---------------------------------------------------------------------------------------------------------

# The same outcome at accept level (HL7 2.9.3), for senders that ask for that.
_ACCEPT_LEVEL = {"AA": "CA", "AE": "CE", "AR": "CR"}
# Table 0155: on which outcomes MSH-15 asks for an accept acknowledgement.
_ASKED_ON = {"AL": ("AA", "AE", "AR"), "ER": ("AE", "AR"), "SU": ("AA",)}


def acknowledgement_code(code: str, accept_acknowledgement: str) -> str:
    """Return MSA-1 for an outcome (AA, AE, AR) and the sender's MSH-15.

    Every message gets one answer, whatever MSH-15 and MSH-16 say: at accept level where MSH-15 asks for one on this
    outcome, else at application level. A sender on MLLP waits for an answer even when it wrote NE.
    """
    asked = _ASKED_ON.get(accept_acknowledgement.strip().upper(), ())
    return _ACCEPT_LEVEL[code] if code in asked else code
