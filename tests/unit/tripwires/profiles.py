"""Profiles of two worlds, to which a test adds tables: no test of its own."""

from pathlib import Path

from broker.environments import profile as profiles
from broker.environments.model import Profile

PROFILE = """\
name = "{name}"
kind = "{kind}"
timezone = "Europe/Berlin"
state = "{state}"
[hl7]
host = "127.0.0.1"
port = {hl7}
[dicom]
host = "0.0.0.0"
port = {dicom}
ae_title = "{title}"
[http]
host = "127.0.0.1"
port = 0
[worlds]
key = {{ file = "site.key" }}
other = "{other}.toml"
"""
PACS = '[[destinations]]\nname = "{}"\nprotocol = "dimse"\nhost = "{}"\nport = {}\nae_title = "{}"\n'
STOW = '[[destinations]]\nname = "{}"\nprotocol = "stow"\nurl = "{}"\n'
FOLDER = '[[destinations]]\nname = "{}"\nprotocol = "folder"\npath = "{}"\n'
MPPS = '[[mpps.destinations]]\nname = "{}"\nhost = "{}"\nport = {}\nae_title = "{}"\n'
RECEIVER = '[[receivers]]\nname = "{}"\nhost = "{}"\nport = {}\n'


def write_both(  # noqa: PLR0917 - what is added to either world, and what the other says of itself
    folder: Path, test: str = "", production: str = "", kind: str = "test", name: str = "test", state: str = ""
) -> Profile:
    """Write both; return Production's, of which the other is as it is said."""
    (folder / "site.key").write_text("key")
    ours = {"name": "production", "kind": "production", "hl7": 2576, "dicom": 11113, "title": "BROKER", "other": "test"}
    theirs = {"name": name, "kind": kind, "hl7": 2575, "dicom": 11112, "title": "BROKER_TEST", "other": "production"}
    (folder / "production.toml").write_text(PROFILE.format(**ours, state="production-state") + production)
    (folder / "test.toml").write_text(PROFILE.format(**theirs, state=state or "test-state") + test)
    return profiles.read(folder / "production.toml")
