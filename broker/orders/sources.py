"""Who sends messages, and by which mapping and order control table they are read. Decides nothing about content."""

from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from broker.environments.model import Hl7Settings, Source, UnknownCallers
from broker.errors import Misconfigured
from broker.inbox.model import HeaderFacts
from broker.orders import control, mapping_file
from broker.orders.messages import Context, is_character_set
from broker.orders.model import Refusal

_SENDER = "MSH^1^3"


class Sources:
    """The sending systems of one environment, each with its files loaded."""

    def __init__(self, settings: Hl7Settings, environment: str) -> None:
        """Load what every source names. Raises Misconfigured with every mistake, a line each."""
        self._environment = environment
        self._timezone = settings.default.timezone
        self._accepts_unknown = settings.unknown_sources is UnknownCallers.ACCEPT
        mistakes: list[str] = []
        self._default = _Sender(_complete(settings.default, settings), mistakes)
        self._known = [_Sender(_complete(source, settings), mistakes) for source in settings.sources]
        if mistakes:
            raise Misconfigured("\n".join(mistakes))

    def context(self, facts: HeaderFacts, address: str, now: datetime) -> Context:
        """Return how a message of this header is to be read.

        Raises Refusal AR 103 at MSH-3 for a sender that nothing names, where those are rejected, and for one that
        sends from elsewhere than it may; at MSH-5 or MSH-6 for a message that means another system than us.
        """
        sender = self._sender(facts)
        if not sender.may_send_from(address):
            raise Refusal("AR", _SENDER, "103", f"the source {sender.source.name} may not send from this address")
        _refuse_for_others(sender.source, facts)
        return Context(self._environment, sender.source, sender.mapping, sender.order_control, now, self._timezone)

    def of(self, facts: HeaderFacts) -> Source:
        """Return the source of a message. Raises Refusal AR 103 where nothing names its sender and that is needed."""
        return self._sender(facts).source

    def _sender(self, facts: HeaderFacts) -> "_Sender":
        sender = next((sender for sender in self._known if sender.fits(facts)), None)
        if sender is not None:
            return sender
        if not self._accepts_unknown:
            raise Refusal("AR", _SENDER, "103", "no source is configured for this sender (MSH-3 and MSH-4)")
        return self._default


class _Sender:
    """One source with its files."""

    __slots__ = ("_networks", "mapping", "order_control", "source")

    def __init__(self, source: Source, mistakes: list[str]) -> None:
        self.source = source
        self._networks = [network for text in source.addresses if (network := _network(text, source, mistakes))]
        mistakes += [
            f"source {source.name}: character_sets: {name!r} cannot be read"
            for name in source.character_sets
            if not is_character_set(name)
        ]
        try:
            self.mapping = mapping_file.load(source.mapping)
        except Misconfigured as error:
            mistakes.append(f"source {source.name}: mapping: {error}")
        try:
            self.order_control = control.load(source.order_control)
        except Misconfigured as error:
            mistakes.append(f"source {source.name}: order_control: {error}")

    def fits(self, facts: HeaderFacts) -> bool:
        """Tell whether the header names this sender; what the source leaves empty fits any."""
        wanted = (self.source.sending_application, self.source.sending_facility)
        given = (facts.sending_application, facts.sending_facility)
        return all(not want or want in (have, have.split("^", 1)[0]) for want, have in zip(wanted, given, strict=True))

    def may_send_from(self, address: str) -> bool:
        """Tell whether the address is in one of the source's networks; without any it is."""
        if not self._networks:
            return not self.source.addresses
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(mapped in network for network in self._networks)


def _refuse_for_others(source: Source, facts: HeaderFacts) -> None:
    """Refuse what is addressed to another system: a routing mistake of the interface engine, seen before its effect."""
    checks = (
        ("MSH^1^5", "the receiving application", source.receiving_applications, facts.receiving_application),
        ("MSH^1^6", "the receiving facility", source.receiving_facilities, facts.receiving_facility),
    )
    for location, what, taken, given in checks:
        if taken and given not in taken and given.split("^", 1)[0] not in taken:
            ours = " or ".join(known or "an empty one" for known in taken)
            raise Refusal("AR", location, "103", f"{what} is not ours: this environment takes {ours}")


def _complete(source: Source, settings: Hl7Settings) -> Source:
    """Return the source with the environment's processing IDs where it has none of its own."""
    return source if source.processing_ids else replace(source, processing_ids=settings.processing_ids)


def _network(text: str, source: Source, mistakes: list[str]) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        mistakes.append(f"source {source.name}: addresses: {error}")
        return None
