"""The kinds of destination: one file each, one line here."""

from broker.delivery.senders import dimse, folder, stow
from broker.delivery.senders.outcome import Sender
from broker.environments.model import Protocol

SENDERS: dict[Protocol, Sender] = {
    Protocol.DIMSE: dimse.send,
    Protocol.FOLDER: folder.send,
    Protocol.STOW: stow.send,
}
