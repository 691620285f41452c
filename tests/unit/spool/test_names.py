"""The digest of a patient's name."""

import unicodedata

import pytest

from broker.spool import names


@pytest.mark.parametrize(
    "same", ["Müster^Eva", "Müster^Eva^^^", "Müster^Eva ", "Müster^Eva==", unicodedata.normalize("NFD", "Müster^Eva")]
)
def test_the_same_name_has_one_digest(same: str) -> None:
    assert names.digest(same) == names.digest("Müster^Eva")


@pytest.mark.parametrize("other", ["Muster^Eva", "Müster^EVA", "M?ster^Eva", "Müster^Eva=x", ""])
def test_another_name_has_another(other: str) -> None:
    assert names.digest(other) != names.digest("Müster^Eva")


def test_no_name_has_none_and_no_digest_tells_a_name() -> None:
    assert names.digest("^^ ") == ""
    assert "ster" not in names.digest("Müster^Eva")
