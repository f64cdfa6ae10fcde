"""Programs that others make from the contract: one that tries every operation, and a client in TypeScript."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.openapi.served import RunningServer, serving

ROOT = Path(__file__).parents[2]
TYPESCRIPT = ROOT / "tests" / "typescript"
CACHE = ROOT / ".cache" / "typescript"
DEADLINE_S = 240
EXAMPLES = 2
"""Requests that are made up for each operation, of each kind: good ones and bad ones."""


@pytest.fixture(scope="module")
def served(mongodb_uri: str) -> Iterator[RunningServer]:
    with serving(mongodb_uri) as service:
        yield service


def tried_out(served: RunningServer, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml")),
        *("run", f"{served.url}/api/openapi.json", "--no-color", "--no-shrink", "--seed", "1"),
        *("--max-examples", str(EXAMPLES), *arguments),
    ]
    return subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_schemathesis_finds_no_fault_as_admin_and_anonymous(served: RunningServer, tmp_path: Path) -> None:
    settings = (Path(__file__).parent / "schemathesis.toml").read_text()
    (tmp_path / "schemathesis.toml").write_text(settings.replace("ID", served.kind_id))
    authorization = f"Authorization: {served.headers['Authorization']}"
    runs = [tried_out(served, tmp_path, "--header", authorization), tried_out(served, tmp_path)]
    for run in runs:
        told, _ = run.communicate(timeout=DEADLINE_S)
        assert run.returncode == 0, told
        assert re.search(r"Tested: \d{2}\n", told), told


@pytest.fixture(scope="session")
def node() -> Path:
    """Provide the folder with what the client in TypeScript needs, installed once per change of it."""
    npm = shutil.which("npm")
    if npm is None:
        # Sheaf does not need Node.js: only clients in TypeScript do, and this one test of them.
        pytest.skip("Node.js is not here, which compiles and runs a client in TypeScript")
    lock = (TYPESCRIPT / "package-lock.json").read_text()
    stamp = CACHE / "installed"
    if not stamp.exists() or stamp.read_text() != lock:
        CACHE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(TYPESCRIPT / name, CACHE)
        run(CACHE, npm, "ci", "--no-audit", "--no-fund")
        stamp.write_text(lock)
    return CACHE


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_typescript_client_compiles_and_reads_back_every_kind_of_field(
    served: RunningServer, node: Path
) -> None:
    contract = httpx.get(f"{served.url}/api/openapi.json", headers=served.headers).json()
    folder = node / f"run-{uuid4().hex[:8]}"
    shutil.copytree(TYPESCRIPT, folder)
    try:
        (folder / "openapi.json").write_text(json.dumps(contract))
        tools = node / "node_modules" / ".bin"
        types = ("openapi.json", "--output", "contract.d.ts", "--default-non-nullable=false")
        run(folder, str(tools / "openapi-typescript"), *types)
        run(folder, str(tools / "tsc"))
        told = run(folder, "node", "built/round_trip.js", served.url, served.token)
        assert told == "round trip done\n"
    finally:
        shutil.rmtree(folder)
