"""Reads everything recorded about one device in one environment into `Facts`: each fact with how it bears.

Judges nothing but whose a fact is, and whether what it was proven for still stands.
"""

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TypeVar

from broker import __version__
from broker.commitment.devices.model import RequestState
from broker.database import Transaction
from broker.environments.commitment import ProofBy
from broker.environments.model import Profile
from broker.procedures import store as procedures
from broker.procedures.model import StoredStep
from broker.promotion import settings, times
from broker.promotion.bearing import Bearing, Circumstances, Present, Resolve, bearing, differing, plain
from broker.promotion.model import Fingerprint, Hashes
from broker.promotion.recorded import store as recorded
from broker.promotion.recorded import traffic_store as traffic
from broker.promotion.recorded.model import Call, Incident, KeptImage, Way
from broker.promotion.seen import (
    CallSeen,
    CommitmentSeen,
    EchoSeen,
    Facts,
    ImageSeen,
    QuerySeen,
    StatementSeen,
    StepSeen,
)
from broker.promotion.statements import store as statements
from broker.registry.model import Binding, Modality
from broker.spool.names import DIGEST

_T = TypeVar("_T")
_NOBODY = Fingerprint()


def addresses(host: str) -> frozenset[str]:
    """Return the addresses of a host, and itself; a name that cannot be resolved now has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset({plain(host)})
    return frozenset({plain(host), *(plain(str(each[4][0])) for each in found)})


def read(  # noqa: PLR0917 - whose facts, of where, as of when, and how names are resolved
    tx: Transaction,
    profile: Profile,
    modality: Modality,
    now: datetime,
    resolve: Resolve = addresses,
    since: datetime | None = None,
) -> Facts:
    """Return everything recorded about a device in this environment, all or since then, as it bears on what it is."""
    return _Reading(tx, profile, modality, now, cache(resolve), since).facts()


class _Reading:
    """One reading: what is the same for every fact is found once."""

    def __init__(  # noqa: PLR0917 - as `read`
        self,
        tx: Transaction,
        profile: Profile,
        modality: Modality,
        now: datetime,
        resolve: Resolve,
        since: datetime | None,
    ) -> None:
        self._tx = tx
        self._from = since
        self._profile = profile
        self._modality = modality
        self._now = now
        self._resolve = resolve
        self._calls = traffic.calls(tx, modality.name, since)
        self._call = {call.id: call for call in self._calls}
        self._bound = traffic.bindings(tx, modality.name)
        self._in_force = recorded.in_force(tx)
        self._images = traffic.images(tx, modality.name, since)
        self._present = self._as_it_is()

    def facts(self) -> Facts:
        """Return them all."""
        profile, document = self._profile, self._modality.document
        queries = tuple(self._queries())
        found = Facts(
            name=self._modality.name,
            now=self._now,
            makes=document.makes,
            asks_commitment=document.commitment.asks,
            policy=profile.promotion,
            timezone=profile.timezone,
            is_bound=bool(self._modality.binding.host),
            fingerprint=self._present.fingerprint,
            provers=frozenset(each.name for each in profile.destinations if each.proof.by is not ProofBy.NONE),
            calls=tuple(CallSeen(_ref(call), call.started, self._of(call), call.address) for call in self._calls),
            received=tuple(self._echoes(Way.RECEIVED)),
            sent=tuple(self._echoes(Way.SENT)),
            queries=queries,
            items=traffic.items(self._tx, {number for query in queries for number in query.items}),
            steps=tuple(self._steps()),
            images=tuple(self._image(image) for image in self._images),
            commitments=tuple(self._commitments()),
            statements=tuple(self._statements()),
            modality=self._modality,
        )
        return replace(found, incidents=tuple(self._incidents(found)))

    # --- the device as it is -------------------------------------------------------------------------------------

    def _as_it_is(self) -> Present:
        """Return the device as it is: whoever called last from where it was bound, and since when it is the same."""
        own = [call for call in self._calls if self._is_from_its_place(call)]
        fingerprint = self._newest(own)
        return Present(
            revision=self._modality.revision,
            binding=self._modality.binding,
            software=__version__,
            hashes=settings.hashes(self._profile),
            fingerprint=fingerprint,
            since=self._since(own, fingerprint),
        )

    def _is_from_its_place(self, call: Call) -> bool:
        host = self._binding_at(call.started).host
        return bool(host) and plain(call.address) in self._resolve(host)

    def _newest(self, own: Sequence[Call]) -> Fingerprint:
        """Return what the newest caller says of itself, with what the newest image of the like says."""
        if not own:
            return _NOBODY
        said = _said_by(own[0])
        return next((found for _, found in self._portraits(own) if not differing(found, said)), said)

    def _since(self, own: Sequence[Call], fingerprint: Fingerprint) -> datetime | None:
        """Return when the device that is there now began: with the first call after the last of who was there before.

        Of a replaced device nothing counts, not even what tells the two apart in nothing.
        """
        portraits = [*self._portraits(own), *((call.started, _said_by(call)) for call in own)]
        begins = min((at for at, found in self._portraits(own) if not differing(found, fingerprint)), default=None)
        before = (at for at, found in portraits if differing(found, fingerprint) and (begins is None or at < begins))
        last = max(before, default=None)
        return min((call.started for call in own if last is None or call.started > last), default=None)

    def _portraits(self, own: Sequence[Call]) -> list[tuple[datetime, Fingerprint]]:
        """Return what the images of these calls say, newest first, with when their calls began."""
        calls = {call.id: call for call in own}
        found = ((calls.get(image.association_id), image) for image in self._images)
        return [(call.started, self._fingerprint(image)) for call, image in found if call is not None]

    def _fingerprint(self, image: KeptImage) -> Fingerprint:
        call = self._call.get(image.association_id)
        return replace(
            _said_by(call) if call else _NOBODY,
            manufacturer=image.attributes.get("Manufacturer", ""),
            model_name=image.attributes.get("ManufacturerModelName", ""),
            device_serial_number=image.attributes.get("DeviceSerialNumber", ""),
            software_versions=image.attributes.get("SoftwareVersions", ""),
        )

    # --- how each fact bears ---------------------------------------------------------------------------------------

    def _binding_at(self, at: datetime) -> Binding:
        # Whoever was never bound by a command is as the registry has it.
        found = _latest(self._bound, at, lambda each: each.at)
        return found.binding if found else (Binding() if self._bound else self._modality.binding)

    def _hashes_at(self, at: datetime) -> Hashes | None:
        found = _latest(self._in_force, at, lambda each: each.at)
        return found.hashes if found else None

    def _of(self, call: Call | None, fingerprint: Fingerprint | None = None) -> Bearing:
        if call is None:
            return Bearing(foreign="on an association that is not known any more")
        return bearing(
            Circumstances(
                at=call.started,
                revision=call.revision,
                binding=self._binding_at(call.started),
                software=call.software,
                hashes=self._hashes_at(call.started),
                fingerprint=fingerprint or _said_by(call),
                address=call.address,
            ),
            self._present,
            self._resolve,
        )

    def _by_us(
        self, at: datetime, revision: str, binding: Binding, software: str, fingerprint: Fingerprint = _NOBODY
    ) -> Bearing:
        of = Circumstances(at, revision, binding, software, self._hashes_at(at), fingerprint)
        return bearing(of, self._present, self._resolve)

    # --- the facts -------------------------------------------------------------------------------------------------

    def _echoes(self, way: Way) -> Iterable[EchoSeen]:
        for echo in recorded.echoes(self._tx, self._modality.name):
            if echo.way is not way:
                continue
            if way is Way.RECEIVED:
                how = self._of(self._call.get(echo.association_id))
            else:
                how = self._by_us(echo.at, echo.revision, self._binding_at(echo.at), echo.software)
            yield EchoSeen(f"echo {echo.id}", echo.at, how, echo.failure)

    def _queries(self) -> Iterable[QuerySeen]:
        for query in traffic.queries(self._tx, self._modality.name, self._from):
            how = self._of(self._call.get(query.association_id))
            yield QuerySeen(f"query {query.id}", query.at, how, query.status, query.items)

    def _steps(self) -> Iterable[StepSeen]:
        for uid in traffic.steps(self._tx, self._modality.name, self._from):
            known = procedures.find(self._tx, uid)
            if known is not None:
                yield self._step(known, self._call.get(known.association_id))

    def _step(self, known: StoredStep, call: Call | None) -> StepSeen:
        step = known.step
        return StepSeen(
            ref=f"procedure {step.sop_instance_uid}",
            at=known.updated,
            bearing=self._of(call),
            status=step.status,
            items=step.items,
            patient_id=step.patient.patient_id,
            unlinked=len(known.unlinked),
            begun=known.created,
            seconds_off=times.off(times.civil(step.start_date, step.start_time, self._profile.timezone), known.created),
        )

    def _image(self, image: KeptImage) -> ImageSeen:
        attributes = image.attributes
        return ImageSeen(
            ref=f"instance {image.id}",
            at=image.received,
            bearing=self._of(self._call.get(image.association_id), self._fingerprint(image)),
            sop_class_uid=image.sop_class_uid,
            transfer_syntax=image.transfer_syntax,
            octets=image.octets,
            frames=_number(attributes.get("NumberOfFrames", "")),
            study_instance_uid=image.study_instance_uid,
            accession_number=image.accession_number,
            patient_id=image.patient_id,
            name_digest=attributes.get(DIGEST, ""),
            seconds_off=times.off(times.of_image(attributes, self._profile.timezone), image.received),
            sent=image.sent,
            is_forgotten=image.is_forgotten,
        )

    def _commitments(self) -> Iterable[CommitmentSeen]:
        for asked in traffic.commitments(self._tx, self._modality.name, self._from):
            yield CommitmentSeen(
                ref=f"commitment {asked.id}",
                at=asked.received,
                bearing=self._of(self._call.get(asked.association_id)),
                is_reported=asked.state == RequestState.REPORTED.value,
                reason=asked.reason,
                failures=asked.failures,
            )

    def _statements(self) -> Iterable[StatementSeen]:
        for said in statements.statements(self._tx, self._modality.name):
            how = self._by_us(said.at, said.revision, said.binding, said.software, said.fingerprint)
            yield StatementSeen(f"statement {said.id}", said.at, how, said.check, said.kind, said.by, said.text)

    def _incidents(self, found: Facts) -> Iterable[Incident]:
        """Return what went wrong since the first call that counts: what was tried before that is how one begins."""
        since = min((call.at for call in found.calls if call.counts), default=None)
        if since is None:
            return ()
        hosts = self._resolve(self._modality.binding.host)
        refused = traffic.rejections(self._tx, hosts, since)
        return (*refused, *traffic.alerts(self._tx, self._modality.name, since))


def _ref(call: Call) -> str:
    return f"association {call.id}"


def _said_by(call: Call) -> Fingerprint:
    return Fingerprint(call.implementation_class_uid, call.implementation_version_name)


def _latest(changes: Sequence[_T], at: datetime, when: Callable[[_T], datetime]) -> _T | None:
    return next((each for each in reversed(changes) if when(each) <= at), None)


def _number(text: str) -> int:
    # NumberOfFrames is IS: at least 1 where it is stated well (PS3.3 C.7.6.6).
    return int(text) if text.strip().isdecimal() else 1
