"""The other world: a message that a tripwire watches is held for a person, or told of. Owns no commit."""

from collections.abc import Sequence

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.database import Transaction
from broker.intake import deciding
from broker.intake.here import Here
from broker.intake.model import Tripped
from broker.orders.model import Applied, Change
from broker.tripwires.model import identifiers
from broker.tripwires.table import Response, Tripwire


class Guarding(Here):
    """The tripwires on a message's way."""

    def _watch_patient(self, tx: Transaction, change: Change, decided: bool) -> None:
        """Hold a message about a patient who is none, unless a person has decided. Raises Tripped."""
        for patient in deciding.patients_of(change):
            rows = self._worlds.patient(patient.patient_id, patient.issuer_of_patient_id, patient.patient_name)
            self._respond(tx, rows, change, decided)

    def _watch_orders(self, tx: Transaction, change: Change, applied: Applied, decided: bool) -> None:
        """Hold or tell of orders that the other world knows. Raises Tripped."""
        if not self._worlds.watches:
            return
        own = [deciding.identifiers_of(stored) for stored in applied.orders]
        patients = deciding.patients_of(change)
        patients = patients[1:] if own else patients
        own += [identifiers(patient=(each.patient_id, each.issuer_of_patient_id)) for each in patients]
        for each in own:
            self._respond(tx, self._worlds.order(self._worlds.seen(each)), change, decided)

    def _respond(self, tx: Transaction, rows: Sequence[Tripwire], change: Change, decided: bool) -> None:
        for row in rows:
            if row.response is Response.HELD and not decided:
                raise Tripped(row, change.location)
            self._trip(tx, row)

    def _trip(self, tx: Transaction, row: Tripwire) -> None:
        raise_alert(tx, row.event, self._environment, Severity.URGENT, row.text, self._clock.now())
