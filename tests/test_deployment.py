"""What the image, the composition and the hooks promise, read from their files."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.runtime.settings import Settings, variable

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FINAL_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]
SECRET_LIKE = re.compile(r"password|secret|token|key", re.IGNORECASE)


def test_compose_file_contains_database_and_service() -> None:
    assert set(SERVICES) == {"mongodb", "api"}
    assert SERVICES["mongodb"]["image"] == "mongo:8"
    assert SERVICES["api"]["build"] == "."


def test_deployment_files_contain_no_secret_values() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not SECRET_LIKE.search(name) or str(value).startswith(f"${{{name}:?"), name
    assert "MONGO_INITDB_ROOT_PASSWORD" not in (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"^ENV.*(SECRET|PASSWORD|TOKEN)", DOCKERFILE, re.MULTILINE)


def test_service_starts_after_database_accepts_writes() -> None:
    assert SERVICES["api"]["depends_on"] == {"mongodb": {"condition": "service_healthy"}}
    command = " ".join(SERVICES["mongodb"]["command"])
    check = SERVICES["mongodb"]["healthcheck"]["test"][-1]
    name = re.search(r"--replSet (\S+)", command)
    assert name is not None
    assert f"_id: '{name[1]}'" in check
    assert "isWritablePrimary" in check
    assert SERVICES["api"]["environment"]["MONGODB_URI"].endswith(f"replicaSet={name[1]}")


def test_database_is_only_in_internal_network() -> None:
    assert "ports" not in SERVICES["mongodb"]
    assert SERVICES["mongodb"]["networks"] == ["database"]
    assert COMPOSE["networks"]["database"] == {"internal": True}


def test_service_is_published_on_loopback_by_default() -> None:
    assert SERVICES["api"]["ports"] == ["${PUBLISH:-127.0.0.1:8000}:8000"]


def test_documents_are_stored_in_named_volume() -> None:
    volumes = dict(volume.split(":") for volume in SERVICES["mongodb"]["volumes"])
    assert volumes["documents"] == "/data/db"
    assert set(volumes) == set(COMPOSE["volumes"])


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_containers_have_least_privileges(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)


def test_production_runs_four_workers_by_default() -> None:
    environment = SERVICES["api"]["environment"]
    assert environment["SHEAF_ENVIRONMENT"] == "production"
    assert environment["SHEAF_WORKERS"] == "${SHEAF_WORKERS:-4}"


def test_compose_file_and_image_set_only_existing_settings() -> None:
    known = {variable(name) for name in Settings.model_fields}
    assert set(SERVICES["api"]["environment"]) <= known
    assert set(re.findall(r"SHEAF_[A-Z_]+", DOCKERFILE)) <= known


def test_stop_grace_period_exceeds_drain_time() -> None:
    patience_s = int(SERVICES["api"]["stop_grace_period"].removesuffix("s"))
    fields = Settings.model_fields
    assert patience_s > fields["drain_timeout_s"].default + fields["drain_delay_s"].default


def test_image_runs_service_as_non_root_user() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert stages == ["python:3.13-slim"] * 2
    assert re.findall(r"^USER (\S+)", FINAL_STAGE, re.MULTILINE) == ["10001:10001"]
    assert 'CMD ["sheaf", "serve"]' in FINAL_STAGE
    assert "SHEAF_HOST=0.0.0.0" in FINAL_STAGE
    assert FINAL_STAGE.index("USER ") < FINAL_STAGE.index("CMD [")


def test_image_health_check_uses_readiness_endpoint() -> None:
    check = re.search(r'HEALTHCHECK [^\n]*\\\n  CMD \["python", "-c", "([^"]+)"\]', FINAL_STAGE)
    assert check is not None
    compile(check[1], "Dockerfile", "exec")
    assert "/api/health/ready" in check[1]


def test_image_installs_exactly_locked_dependencies() -> None:
    assert "--require-hashes --requirement requirements/production.txt" in DOCKERFILE
    assert "development.txt" not in DOCKERFILE
    locked = (ROOT / "requirements/production.txt").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    left_out = [*project["optional-dependencies"]["embedded"], "pytest", "ruff", "mypy"]
    for requirement in left_out:
        name = re.split(r"[^A-Za-z0-9-]", requirement)[0]
        assert not re.search(rf"^{name}==", locked, re.MULTILINE), name
    assert all("--hash=" in block for block in re.split(r"\n(?=\w)", locked)[1:] if "==" in block)


def test_docs_site_has_separate_locked_dependencies() -> None:
    locked = (ROOT / "requirements/docs.txt").read_text()
    assert all("--hash=" in block for block in re.split(r"\n(?=\w)", locked)[1:] if "==" in block)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["docs"]
    for requirement in wanted:
        name = re.split(r"[^A-Za-z0-9-]", requirement)[0]
        assert re.search(rf"^{name}==", locked, re.MULTILINE), name
        for other in ("production", "development"):
            text = (ROOT / f"requirements/{other}.txt").read_text()
            assert not re.search(rf"^{name}==", text, re.MULTILINE), (name, other)


def test_image_sources_are_in_build_context() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE))
    sources = {source for line in copied for source in line.split()}
    assert sources == kept
    assert all((ROOT / source).exists() for source in sources)


def test_hooks_are_local_and_run_locked_tools() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [
        ".venv/bin/ruff format",
        ".venv/bin/ruff check",
        ".venv/bin/mypy",
    ]
    assert {hook["language"] for hook in hooks} == {"system"}


SCRIPTS = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]


@pytest.mark.parametrize("script", sorted([*SCRIPTS, ROOT / ".ci/run"]), ids=lambda path: path.name)
def test_scripts_have_valid_syntax_and_are_executable(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)  # noqa: S603, S607 - our own script
    assert os.access(script, os.X_OK) or script.name == "setup"


def test_metrics_port_is_exposed_but_not_published() -> None:
    environment, service = SERVICES["api"]["environment"], SERVICES["api"]
    assert environment["SHEAF_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - of the container
    assert service["expose"] == [environment["SHEAF_METRICS_PORT"]]
    assert not [port for port in service["ports"] if environment["SHEAF_METRICS_PORT"] in port]
