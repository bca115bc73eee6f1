"""What a reader may meet in the code is explained to them somewhere.

Settings, routes, fields and error codes have tests of their own, beside what they document.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

from jupyter_kueue import config
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import evictions, kueue_conditions, names, pod_start, run_status
from jupyter_kueue.service import environments
from jupyter_kueue_local.node import admission, pod_status

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "jupyter_kueue"
LOCAL_CLUSTER = REPOSITORY / "local_cluster" / "jupyter_kueue_local"
DOCS = REPOSITORY / "docs"
PAGES = {
    path.name: path.read_text()
    for path in [*DOCS.glob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
}
EVERYTHING = "\n".join(PAGES.values())
STATES = PAGES["architecture.md"].partition("\n## States")[2].partition("\n## ")[0]
VARIABLE = re.compile(r"JUPYTER_KUEUE_[A-Z]+(?:_[A-Z]+)*")


def variables() -> set[str]:
    """Every variable that the packages, the tests' frame and the tools know."""
    sources = [
        *PACKAGE.rglob("*.py"),
        *LOCAL_CLUSTER.rglob("*.py"),
        REPOSITORY / "Makefile",
        REPOSITORY / "conftest.py",
    ]
    found = {name for path in sources for name in VARIABLE.findall(path.read_text())}
    return found | {
        config.environment_variable(name) for name in config.JupyterKueue.class_traits(config=True)
    }


def test_every_environment_variable_is_explained_and_none_is_made_up():
    explained = set(VARIABLE.findall(EVERYTHING))
    assert explained == variables()
    for name in (pod_contract.ENV_CHECKPOINT_DIR, pod_contract.ENV_SCRATCH_DIR):
        assert f"`{name}`" in EVERYTHING


def test_every_label_annotation_and_condition_is_explained():
    own = {
        value
        for key, value in vars(names).items()
        if key.startswith(("LABEL_", "ANNOTATION_")) and value.startswith(f"{names.PREFIX}/")
    }
    own |= {environments.LABEL_KIND, pod_status.ISOLATION_CONDITION}
    assert len(own) >= 8
    for mark in own:
        assert f"`{mark}`" in EVERYTHING, mark
    assert f"`{admission.REASON}`" in EVERYTHING


def reasons() -> set[str]:
    """The codes in the modules that decide about states, as they are written there."""
    found = set(pod_contract.OUTCOMES) - {pod_contract.SUCCEEDED, pod_contract.INTERRUPTED}
    for module in (run_status, kueue_conditions, pod_start, evictions):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = {"Status": 1, "_queued": 0, "Obstacle": 0, "Eviction": 0}.get(node.func.id)
                given = None if place is None or len(node.args) <= place else node.args[place]
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                given = node.value.elts[0]
            else:
                continue
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                found.add(given.value)
    return found


def test_every_state_and_reason_is_in_the_table_of_states():
    codes = reasons()
    assert {"blocked", "out-of-memory", "image-pull", "node-full", "time-limit"} <= codes
    missing = {code for code in codes if f"`{code}`" not in STATES}
    assert not missing
    for state in ("queued", "starting", "running", "stopping", "stopped", "succeeded", "failed"):
        assert re.search(rf"\b{state}\b", STATES)


def test_every_permission_is_explained_with_exactly_its_verbs():
    page = PAGES["operations.md"].partition("\n## Permissions")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-z./0-9-]+)` \| ([a-z ]+) \|", page, re.MULTILINE))
    user = yaml.safe_load((LOCAL_CLUSTER / "manifests" / "namespace-user.yaml").read_text())
    granted = {
        f"{resource}.{group}".rstrip("."): " ".join(rule["verbs"])
        for rule in user["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert rows == granted
    for manifest in ("quota-reader.yaml", "kueue-version-reader.yaml"):
        role = yaml.safe_load((LOCAL_CLUSTER / "manifests" / manifest).read_text())
        assert f"`{role['metadata']['name']}`" in page
        for rule in role["rules"]:
            for resource in rule["resources"]:
                assert f"`{resource}" in page
            for verb in rule["verbs"]:
                assert verb in page


def test_every_make_target_is_explained_and_none_is_made_up():
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    told = set(re.findall(r"`make ([a-z-]+)`", EVERYTHING))
    assert told == targets


def test_no_link_between_the_pages_leads_nowhere():
    for path in [*DOCS.glob("*.md"), *REPOSITORY.glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_page_that_the_code_names_exists():
    packages = [*PACKAGE.rglob("*.py"), *LOCAL_CLUSTER.rglob("*.py")]
    sources = [*packages, *REPOSITORY.glob("*.md"), REPOSITORY / "Makefile"]
    for path in sources:
        for page in re.findall(r"(?<![\w/.-])docs/[a-z-]+\.md", path.read_text()):
            assert (REPOSITORY / page).exists(), f"{path.name}: {page}"
