"""The keys that say how destinations prove, and for how long the spool keeps what is proven."""

from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.commitment import CommitmentSettings, ProofBy, ProofSettings, read_commitment
from broker.environments.model import Profile
from broker.environments.reading import parse
from broker.errors import Misconfigured

PROFILE = """
name = "test"
kind = "test"
timezone = "Europe/Berlin"
state = "state"
[hl7]
host = "127.0.0.1"
port = 0
[dicom]
host = "127.0.0.1"
port = 0
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = 0
[[destinations]]
name = "d"
"""
DIMSE = 'protocol = "dimse"\nhost = "127.0.0.1"\nport = 104\nae_title = "PACS"\n'
FOLDER = 'protocol = "folder"\npath = "archive"\n'
STOW = 'protocol = "stow"\nurl = "https://pacs/dicom-web"\n'


def profile(folder: Path, keys: str) -> Profile:
    file = folder / "test.toml"
    file.write_text(PROFILE + keys)
    return profiles.read(file)


def mistakes(folder: Path, keys: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        profile(folder, keys)
    return [line.partition(": ")[2] for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("keys", "proof"),
    [
        (DIMSE, ProofSettings(ProofBy.AUTO, 60)),
        (FOLDER, ProofSettings()),
        (STOW, ProofSettings()),
        (DIMSE + 'proof = "none"', ProofSettings(ProofBy.NONE, 60)),
        (DIMSE + 'proof = "commitment"\nproof_minutes = 30', ProofSettings(ProofBy.COMMITMENT, 30)),
        (DIMSE + 'proof = "find"', ProofSettings(ProofBy.FIND, 5)),
        (STOW + 'proof = "qido"', ProofSettings(ProofBy.QIDO, 5)),
        (
            DIMSE + 'proof = "qido"\nproof_url = "https://pacs/dicom-web/"',
            ProofSettings(ProofBy.QIDO, 5, "https://pacs/dicom-web"),
        ),
    ],
)
def test_how_a_destination_proves(tmp_path: Path, keys: str, proof: ProofSettings) -> None:
    assert profile(tmp_path, keys).destinations[0].proof == proof


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (DIMSE + 'proof = "commit"', "destinations.d.proof: 'commit' is none of 'auto', 'commitment'"),
        (STOW + 'proof = "find"', "destinations.d.proof: 'find' is not for such a destination: use 'qido', 'none'"),
        (DIMSE + 'proof = "qido"', "destinations.d.proof_url: is needed: where the destination answers QIDO-RS"),
        (DIMSE + 'proof_url = "https://x"', "destinations.d.proof_url: is only for proof = 'qido'"),
        (DIMSE + 'proof = "qido"\nproof_url = "pacs"', "destinations.d.proof_url: must begin with http://"),
        (DIMSE + "proof_minutes = 0", "destinations.d.proof_minutes: 0 is not between 1 and"),
        (FOLDER + 'proof = "find"', "destinations.d.proof: unknown key"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, keys: str, said: str) -> None:
    assert mistakes(tmp_path, keys)[0].startswith(said)


def test_the_table_has_defaults_and_every_key(tmp_path: Path) -> None:
    assert profile(tmp_path, DIMSE).commitment == CommitmentSettings()
    keys = "wait_seconds = 1\nunproven_hours = 2\ngrace_minutes = 3\ndecide_hours = 4\nreport_hours = 5\n"
    assert read_commitment(parse(f"[commitment]\n{keys}".encode(), "t")) == CommitmentSettings(1, 2, 3, 4, 5)
    assert mistakes(tmp_path, f"{DIMSE}[commitment]\nwait = 1\n")[0].startswith("commitment.wait: unknown key")


def test_the_spool_keeps_for_hours_beside_the_retention_of_texts(tmp_path: Path) -> None:
    found = profile(tmp_path, DIMSE + "[retention]\nspool_hours = 48\ndays = 30\n")
    assert (found.spool_hours, found.retention_days) == (48, 30)
    assert profile(tmp_path, DIMSE).spool_hours == 0
