"""What goes by the clock: the ledger, silence, lateness, expiry."""

from broker.exams import housekeeping, silence
from broker.pipeline.here import Here


class House(Here):
    """Housekeeping."""

    def keep_ledger(self) -> None:
        """Queries that were answered -> the exams' ledger."""
        housekeeping.fold_queries(self._database)

    def note_silence(self) -> None:
        """Say once that the RIS has sent nothing for too long."""
        if not self._profile.hl7.silence.minutes:
            return
        with self._database.write("alerts") as tx:
            silent = silence.untold(tx, self._profile, self._clock.now())
            if silent:
                self._alert(tx, silence.EVENT, silence.SUBJECT, silence.alert_text(silent))

    def count_late_exams(self) -> None:
        """Exams of which a step is late -> numbers for `/metrics`."""
        housekeeping.count_late(self._database, self._profile, self._clock)

    def keep_house(self) -> None:
        """Items whose day is long over are offered no longer; what is older than agreed goes."""
        housekeeping.expire_items(self._database, self._profile, self._clock)
        housekeeping.purge(self._database, self._profile, self._clock)
