"""The files that hosts of the repository read: workflows, renewal, templates, the dev container."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
DEV_CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
YAML = sorted([*GITHUB.rglob("*.yml"), *ROOT.glob("*.yml"), ROOT / ".pre-commit-config.yaml"])
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
FORMS = [path for path in sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml")) if path.name != "config.yml"]
LOCKS = sorted(ROOT.glob("requirements/*.txt"))


def read(path: Path) -> dict[Any, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def commands(workflow: dict[Any, Any], job: str) -> list[str]:
    return [step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step]


def named(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", YAML, ids=named)
def test_file_is_valid_yaml(path: Path) -> None:
    assert read(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_workflow_has_least_permissions_and_timeouts(path: Path) -> None:
    workflow = read(path)
    assert set(workflow["permissions"]) <= {"contents", "pull-requests"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert not step.get("uses", "").endswith(("@main", "@master"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_workflow_runs_scripts_that_exist(path: Path) -> None:
    scripts = set(re.findall(r"scripts/(\w+)", path.read_text()))
    assert scripts
    assert {name for name in scripts if not (ROOT / "scripts" / name).exists()} == set()


def test_ci_workflow_runs_local_check_scripts() -> None:
    workflow = read(GITHUB / "workflows/check.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert commands(workflow, "check") == ["scripts/check"]
    assert commands(workflow, "docs") == ["scripts/docs"]
    triggers = workflow[True]  # YAML 1.1 reads `on` as a truth value
    assert {"push", "pull_request", "schedule"} == set(triggers)


def test_audit_covers_every_lock_file() -> None:
    [audit] = commands(read(GITHUB / "workflows/check.yml"), "audit")
    assert "--require-hashes" in audit
    assert set(re.findall(r"-r (\S+)", audit)) == {str(lock.relative_to(ROOT)) for lock in LOCKS}


def test_every_kind_of_dependency_is_updated_automatically() -> None:
    assert "scripts/lock" in commands(read(GITHUB / "workflows/renew.yml"), "lock")
    lock = (ROOT / "scripts/lock").read_text()
    assert [path for path in LOCKS if str(path.relative_to(ROOT)) not in lock] == []
    updates = read(GITHUB / "dependabot.yml")["updates"]
    watched = {update["package-ecosystem"]: update["directory"] for update in updates}
    assert watched == {
        "github-actions": "/",
        "docker": "/",
        "docker-compose": "/",
        "devcontainers": "/",
        "npm": "/tests/typescript",
    }
    assert (ROOT / "tests/typescript/package.json").exists()


@pytest.mark.parametrize("path", FORMS, ids=named)
def test_issue_form_has_required_fields(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]


def test_dev_container_uses_same_setup_and_python() -> None:
    assert "scripts/setup" in DEV_CONTAINER["postCreateCommand"]
    assert 8000 in DEV_CONTAINER["forwardPorts"]
    interpreter = DEV_CONTAINER["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter.endswith("/.venv/bin/python")
    image = re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:(3\.\d+)", DEV_CONTAINER["image"])
    assert image is not None
    assert f'"Programming Language :: Python :: {image[1]}"' in (ROOT / "pyproject.toml").read_text()
