"""What can be wrong with a message, in the words of table 0357. Knows no wire format and holds no field's value."""


class Hl7Error(ValueError):
    """Something in a message that is to be answered AE or AR.

    `code` is of table 0357 ("102"), `location` is segment^sequence^field[^component] ("PID^1^3") or empty where
    unknown, `text` says what is wrong. `text` never quotes a value, since it travels into logs and answers.
    """

    def __init__(self, code: str, location: str, text: str) -> None:
        super().__init__(f"{location}: {text}" if location else text)
        self.code = code
        self.location = location
        self.text = text

    def at(self, location: str) -> "Hl7Error":
        """Return the same error with its place, for conversions that do not know where their text came from."""
        return Hl7Error(self.code, location, self.text)


class Unreadable(Hl7Error):
    """There is no usable MSH: nothing can be answered to the sender."""

    def __init__(self, text: str) -> None:
        super().__init__("100", "MSH^1", text)


class CloseConnection(Exception):
    """Raised by a handler of messages to have the connection closed without an answer."""
