"""The errors every stage raises: each says whose fault it is, and so what happens next."""


class BrokerError(Exception):
    """Something this product knows how to say in one line to a person."""


class Rejected(BrokerError):
    """The input is at fault: it is answered with the reason and never retried."""


class Unavailable(BrokerError):
    """The other side, the disk or the database is at fault for now: always retried."""


class Misconfigured(BrokerError):
    """The configuration is at fault: start-up stops and names file, key and reason."""


class NotFound(BrokerError):
    """A person asked for something that is not there."""


class Refused(BrokerError):
    """A person asked for something the rules of this environment do not allow."""
