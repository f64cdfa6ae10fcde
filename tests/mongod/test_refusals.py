"""What a user reads when no private MongoDB can be had: one sentence for each cause."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from service.dev import mongod
from service.dev.mongod import Server
from service.dev.mongod.search import NOTHING_FOUND, PROGRAMS
from service.kit.errors import StartupFailure

NOBODY = 65534
ANOTHER = "choose another with --data or SHEAF_DATA."
OTHERWISE = "put another `mongod` on PATH, or set MONGODB_URI."
DIRECTORIES = [
    ("file", f"The data directory {{}} cannot be made, because a file is in its way; {ANOTHER}"),
    ("file/data", f"The data directory {{}} cannot be made, because a file is in its way; {ANOTHER}"),
    (
        "n" * 300,
        "The data directory {} cannot be used (File name too long); make it writable for this user, or "
        + ANOTHER,
    ),
    (
        "foreign",
        "The data directory {} was made by `secantusd-py` and `mongod` cannot read it;"
        " install `secantusd-py`, or " + ANOTHER,
    ),
]
PROGRAMS_UNABLE = [
    ("\x7fELF junk", "{path} cannot run here: it is not a program for this kind of processor; " + OTHERWISE),
    (
        "#!/nowhere/ld.so\n",
        "{path} cannot run here: the C library that it was built for (glibc) or its interpreter is missing; "
        + OTHERWISE,
    ),
    (
        "#!/bin/sh\necho mongod: error while loading shared libraries: libcurl.so.4: cannot open\nexit 127\n",
        "{path} cannot run here: the library libcurl.so.4 is missing: install it (libcurl 4, OpenSSL 3), "
        + OTHERWISE,
    ),
    (
        "#!/bin/sh\necho \"Error parsing command line: unrecognised option '--x'\"\nexit 1\n",
        "{path} cannot run here: MongoDB 5.0 or later is needed, and it knows too few options, " + OTHERWISE,
    ),
    (
        "#!/bin/sh\nkill -ILL $$\n",
        "{path} cannot run here: this processor lacks instructions it needs (AVX); " + OTHERWISE,
    ),
    (
        "#!/bin/sh\necho 'No space left on device'\nexit 100\n",
        "MongoDB cannot start in {data}/mongodb: the disk is full; make room; its log is {data}/mongodb.log.",
    ),
    (
        "#!/bin/sh\nexit 3\n",
        (
            "MongoDB ended while starting in {data}/mongodb (exit status 3);"
            " its log {data}/mongodb.log says why."
        ),
    ),
]


def script(path: Path, text: str) -> Server:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return Server("mongod", path)


@pytest.mark.parametrize(("below", "sentence"), DIRECTORIES)
def test_unusable_directory_is_refused_in_one_sentence(below: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "foreign" / "mongodb").mkdir(parents=True)
    (tmp_path / "foreign" / "mongodb" / "secantus_documents.wt").touch()
    with pytest.raises(StartupFailure) as refusal:
        mongod.start(tmp_path / below, server=Server("mongod", tmp_path / "none"))
    assert str(refusal.value) == sentence.format(tmp_path / below)


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[None]:
    """Be somebody for whom not everything is writable, as it is for root."""
    assert tmp_path.is_dir()  # made before, while that could be done
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    yield
    if is_root:
        os.seteuid(0)


@pytest.mark.usefixtures("ordinary_user")
def test_unwritable_directory_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with suppress(PermissionError):  # not ours to change, and so not ours to write
        tmp_path.chmod(0o500)
    with pytest.raises(StartupFailure) as refusal:
        mongod.start(tmp_path, server=Server("mongod", tmp_path / "none"))
    assert str(refusal.value) == (
        f"The data directory {tmp_path} cannot be used (Permission denied);"
        " make it writable for this user, or choose another with --data or SHEAF_DATA."
    )


@pytest.mark.parametrize(("text", "sentence"), PROGRAMS_UNABLE)
def test_program_that_cannot_run_fails_with_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    server = script(tmp_path / "mongod", text)
    with pytest.raises(StartupFailure) as failure:
        mongod.start(tmp_path / "data", server=server)
    assert str(failure.value) == sentence.format(path=server.path, data=tmp_path / "data")


def test_server_that_never_answers_is_ended_at_deadline(tmp_path: Path) -> None:
    server = script(tmp_path / "mongod", "#!/bin/sh\nsleep 60\n")
    with pytest.raises(StartupFailure) as failure:
        mongod.start(tmp_path, server=server, timeout_s=0.3)
    assert str(failure.value) == f"MongoDB was not ready in time; its log {tmp_path}/mongodb.log says why."


def test_port_taken_by_another_program_is_given_up_after_attempts(tmp_path: Path) -> None:
    server = script(
        tmp_path / "mongod", "#!/bin/sh\necho x >> $2.attempts\necho Address already in use\nexit 48\n"
    )
    with pytest.raises(StartupFailure) as failure:
        mongod.start(tmp_path, server=server)
    assert str(failure.value) == (
        "Other programs took each of 5 free ports before MongoDB could; start again."
    )
    assert (tmp_path / "mongodb.attempts").read_text(encoding="utf-8") == "x\n" * 5


def test_missing_server_fails_with_three_remedies() -> None:
    with pytest.raises(StartupFailure) as failure:
        mongod.find(path="", packages=False)
    assert str(failure.value) == NOTHING_FOUND


def test_server_on_path_is_preferred(tmp_path: Path) -> None:
    substitute = script(tmp_path / PROGRAMS["secantus"], "#!/bin/sh\n").path
    assert mongod.find(path=str(tmp_path), packages=False) == Server("secantus", substitute)
    mine = script(tmp_path / PROGRAMS["mongod"], "#!/bin/sh\n")
    assert mongod.find(path=str(tmp_path)) == mine


def test_installed_wheel_is_found_without_path() -> None:
    found = mongod.find(path="")
    assert found.path.is_absolute()
    assert os.access(found.path, os.X_OK)


def test_substitute_is_refused_in_replica_set(tmp_path: Path) -> None:
    with pytest.raises(StartupFailure) as failure:
        mongod.start_set(tmp_path, server=Server("secantus", Path("secantusd-py")))
    assert str(failure.value) == "A replica set of several members needs MongoDB's own `mongod` on PATH."
    assert list(tmp_path.iterdir()) == []
