"""Why a port cannot be opened, in the words of the profile."""

import errno
import os
from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.listening import look, unopened
from broker.environments.model import Profile
from broker.errors import Misconfigured, Unavailable
from tests.peers.broker import Environment


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return profiles.read(Environment(tmp_path, is_installed=True).write().profile)


def test_the_port_with_tls_is_named_as_the_profile_does(profile: Profile) -> None:
    refused = unopened("dicom_tls", 2762, profile, OSError(errno.EADDRINUSE, "in use"))
    assert isinstance(refused, Unavailable)
    assert str(refused).startswith(f"[dicom.tls] port 2762 of {profile.dicom.host} is taken by another program")
    assert str(profile.file) in str(refused)


def test_a_port_below_1024_says_which_right_it_needs(profile: Profile) -> None:
    refused = unopened("dicom", 104, profile, OSError(errno.EACCES, os.strerror(errno.EACCES)))
    assert isinstance(refused, Misconfigured)
    assert "CAP_NET_BIND_SERVICE" in str(refused)


def test_whatever_else_the_system_says_is_passed_on(profile: Profile) -> None:
    refused = unopened("hl7", 2575, profile, OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)))
    assert str(refused).endswith("cannot be opened: No buffer space available")


def test_a_look_leaves_the_port_free(profile: Profile) -> None:
    look("http", 0, profile)
    with pytest.raises(OverflowError):
        look("http", 65_536, profile)
