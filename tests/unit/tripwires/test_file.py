from pathlib import Path

import pytest

from broker.tripwires.file import Hashing, Header, IdentifiersFile
from broker.tripwires.model import Identifier, Kind

STUDY = Identifier(Kind.STUDY, "1.2.3")


def test_what_one_has_added_another_reads_at_once(tmp_path: Path) -> None:
    hashing, writer, reader = Hashing("key"), IdentifiersFile(tmp_path / "f"), IdentifiersFile(tmp_path / "f")
    for number in range(5):
        each = hashing(Identifier(Kind.STUDY, str(number)))
        writer.add([(Kind.STUDY, each)])
        assert reader.known([each]) == {each}


def test_what_stands_there_is_not_written_again(tmp_path: Path) -> None:
    file, line = IdentifiersFile(tmp_path / "f"), (Kind.STUDY, Hashing("key")(STUDY))
    file.add([line, line])
    size = (tmp_path / "f").stat().st_size
    IdentifiersFile(tmp_path / "f").add([line])
    assert (tmp_path / "f").stat().st_size == size


@pytest.mark.parametrize("left", range(1, 35))
def test_a_line_that_a_stop_has_cut_off_is_passed_over_and_written_anew(tmp_path: Path, left: int) -> None:
    hashing = Hashing("key")
    first, second = (hashing(Identifier(Kind.STUDY, text)) for text in ("1", "2"))
    IdentifiersFile(tmp_path / "f").add([(Kind.STUDY, first)])
    content = (tmp_path / "f").read_bytes()
    (tmp_path / "f").write_bytes(content[:left])
    file = IdentifiersFile(tmp_path / "f")
    file.add([(Kind.STUDY, second), (Kind.STUDY, first)])
    assert IdentifiersFile(tmp_path / "f").known([first, second]) == {first, second}


def test_a_file_of_another_key_knows_nothing(tmp_path: Path) -> None:
    file = IdentifiersFile(tmp_path / "f")
    file.add([(Kind.STUDY, Hashing("key")(STUDY))])
    assert not file.known([Hashing("other")(STUDY)])


def test_kind_and_issuer_belong_to_an_identifier() -> None:
    values = [
        STUDY,
        Identifier(Kind.INSTANCE, "1.2.3"),
        Identifier(Kind.PATIENT, "1.2.3"),
        Identifier(Kind.PATIENT, "1.2.3", "HOSP"),
    ]
    assert len({Hashing("key")(each) for each in values}) == len(values)


def test_what_has_ended_is_known_no_more_until_it_is_live_again(tmp_path: Path) -> None:
    file, each = IdentifiersFile(tmp_path / "f"), Hashing("key")(Identifier(Kind.LIVE, "us-1", "name"))
    file.make(Header("production", Hashing("key").check()))
    for kind, is_known in ((Kind.ENDED, False), (Kind.LIVE, True), (Kind.ENDED, False), (Kind.LIVE, True)):
        file.add([(kind, each)])
        assert bool(IdentifiersFile(tmp_path / "f").known([each])) is is_known


def test_a_file_that_was_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    hashing = Hashing("key")
    first, second = (hashing(Identifier(Kind.STUDY, text)) for text in ("1", "2"))
    reader = IdentifiersFile(tmp_path / "f")
    IdentifiersFile(tmp_path / "f").add([(Kind.STUDY, first)])
    assert reader.known([first]) == {first}
    IdentifiersFile(tmp_path / "g").add([(Kind.STUDY, second)])
    (tmp_path / "g").replace(tmp_path / "f")
    assert reader.known([first, second]) == {second}


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        IdentifiersFile(tmp_path / "f").known([])
