"""Two revisions of a repository are compared by what each of them asks, each collected with its own code."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from harness.calibration import revisions
from harness.calibration.revisions import read_revision, read_working_tree
from harness.cli.main import main
from harness.judging.seal import save_seal
from harness.machine.files import ROOT

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")

NEW = ("harness/cli/seal.py", *(f"{name.replace('.', '/')}.py" for name in revisions.LENT))
"""Files that a revision before `claims seal` does not have."""

TASK = "claims/visual_symbols/test_3_1_scene_description.py"
KEYS = "claims/visual_symbols/test_4_3_keys.py"
LOG = "# Changelog\n\n## Unreleased\n\n- `3.1.two_objects` is a claim.\n"


def git(folder, *arguments):
    name = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


def edit(path, *changes):
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)


def commit(folder, name):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", name)
    git(folder, "tag", name)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The project with two files of claims, at revisions `older`, `moved` and `weaker`, and changed since."""
    folder = tmp_path_factory.mktemp("revisions") / "project"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=skip)
    for path in ("conftest.py", "pyproject.toml", TASK, KEYS, *NEW):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    (folder / "fixtures").mkdir()
    for path in (ROOT / "fixtures").glob("*.toml"):
        shutil.copy(path, folder / "fixtures")
    (folder / "CHANGELOG.md").write_text(LOG)
    git(folder, "init", "--quiet")
    for path in NEW:
        (folder / path).unlink()
    commit(folder, "older")
    for path in NEW:
        shutil.copy(ROOT / path, folder / path)
    git(folder, "mv", KEYS, KEYS.replace("4_3", "9"))
    text = (folder / TASK).read_text()
    head, *claims = text.split("@claim(")
    (folder / TASK).write_text("@claim(".join([head, *reversed(claims)]))
    commit(folder, "moved")
    edit(folder / TASK, ("CEILING = above(\n    0.95", "CEILING = above(\n    0.9"))
    moved = folder / KEYS.replace("4_3", "9")
    text = moved.read_text()
    moved.write_text(text.replace("above(\n        0.70", "above(\n        0.80"))
    assert moved.read_text() != text
    edit(
        folder / "harness/experiments/catalogue.py",
        ('"Keys", 160, "color of a shape", paper', '"Keys", 90, "color of a shape", paper'),
    )
    reason = "- The experiment `keys` has 90 trials: its interval stays narrow enough.\n"
    (folder / "CHANGELOG.md").write_text(LOG + reason)
    commit(folder, "weaker")
    (folder / "CHANGELOG.md").write_text(f"{LOG}{reason}- `3.1.*`: 0.9 is what was measured.\n")
    return folder


@pytest.fixture(scope="module")
def read(repository):
    """A function that reads a revision, or the working tree as None, of the repository; each once."""
    known = {}

    def find(revision=None):
        if revision not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(revisions, "ROOT", repository)
                known[revision] = read_revision(revision) if revision else read_working_tree()
        return known[revision]

    return find


@pytest.fixture
def lint(read, monkeypatch, capsys):
    """A function that lints revisions of the repository; it returns the status and what was printed."""
    monkeypatch.setattr("harness.calibration.revisions.read_revision", read)
    monkeypatch.setattr("harness.calibration.revisions.read_working_tree", read)

    def go(*arguments):
        status = main(["lint", *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return go


@pytest.mark.deep
def test_renamed_files_and_another_order_make_nothing_easier(lint, read):
    status, said = lint("older..moved")
    assert status == 0
    assert "Note: older has no `claims seal`: its claims were read by this version's code" in said
    assert said.endswith("GREEN: no change makes a claim easier without a reason\n")
    assert "only a reader can tell" not in said
    assert read("older").seal.digest == read("moved").seal.digest
    assert len(read("moved").seal.claims) > 5


@pytest.mark.deep
def test_lowered_thresholds_need_a_reason_and_raised_ones_do_not(lint):
    status, said = lint("moved..weaker")
    assert status == 1
    lines = said.splitlines()
    easier = [line for line in lines if line.startswith("EASIER")]
    assert "EASIER  visual_symbols.3.1.two_objects: threshold: " in easier[-1]
    assert all("above 0.95 share right -> above 0.9 share right" in line for line in easier)
    # The entry that names the claim stood there before, and the raised threshold needs none.
    assert 'name `visual_symbols.3.1.two_objects` under "Unreleased" in CHANGELOG.md' in said
    assert "4.3.keys: threshold" not in said
    told = [line for line in lines if line.startswith("easier")]
    assert told == ["easier  experiment keys: trials on small subjects: 160 -> 90"]
    assert "reason: - The experiment `keys` has 90 trials" in said
    assert said.endswith(f"RED: {len(easier)} changes make a claim easier without a reason\n")


@pytest.mark.deep
def test_a_reason_in_the_working_tree_counts_for_the_working_tree(lint):
    status, said = lint("moved")
    assert status == 0
    assert said.startswith("the working tree against moved: ")
    assert "reason: - `3.1.*`: 0.9 is what was measured." in said
    assert "EASIER" not in said


def test_two_seals_are_compared_without_a_repository(lint, read, tmp_path):
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    save_seal(one, read("moved").seal)
    save_seal(other, read("weaker").seal)
    reason = tmp_path / "reasons.md"
    reason.write_text("## Unreleased\n\n- `3.1.*` and the experiment `keys`.\n")
    assert lint(str(one), str(other))[0] == 1
    assert lint(str(one), str(other), "--changelog", str(reason))[0] == 0
    # Back again it is the other threshold that is lower.
    status, said = lint(str(other), str(one))
    assert [line.split(":")[0] for line in said.splitlines() if line.startswith("EASIER")] == [
        "EASIER  visual_symbols.4.3.keys"
    ]
    assert status == 1
    status, said = lint(str(one), str(tmp_path / "none.json"))
    assert status == 2
    assert "none.json: No such file or directory" in said


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (("nowhere",), "nowhere: no such revision"),
        (("..moved",), "name the revision to compare with, as in main..HEAD"),
        (("a", "b", "c"), "name BASE..HEAD, or BASE alone, or two files"),
        (("--", "--output=here"), "no such revision"),
    ],
)
def test_what_cannot_be_read_is_one_line(repository, monkeypatch, capsys, named, said):
    monkeypatch.setattr(revisions, "ROOT", repository)
    assert main(["lint", *named]) == 2
    refusal = capsys.readouterr().err
    assert said in refusal
    assert refusal.count("\n") == 1


@pytest.mark.deep
@pytest.mark.parametrize(
    ("revision", "broken", "said"),
    [
        (
            "older",
            "harness/judging/claim.py",
            "it is from before `claims seal`, and too old for the code of this version (ModuleNotFoundError: "
            "No module named 'nothing_of_that_name'); name a revision that has `claims seal`, {first} is the "
            "first, or two files of it",
        ),
        (
            "weaker",
            TASK,
            "its own code does not collect its claims (claims seal: the claims cannot be",
        ),
    ],
)
def test_a_revision_whose_claims_cannot_be_read_is_one_line_with_what_to_try(
    repository, monkeypatch, capsys, revision, broken, said
):
    monkeypatch.setattr(revisions, "ROOT", repository)
    name, tree = f"broken-{revision}", repository.parent / revision
    git(repository, "worktree", "add", "--detach", str(tree), revision)
    (tree / broken).write_text("import nothing_of_that_name\n")
    commit(tree, name)
    first = revisions._git("rev-parse", "--short", "moved").decode().strip()
    assert main(["lint", name]) == 2
    refusal = capsys.readouterr().err
    assert refusal.startswith(f"claims lint: {name} cannot be read: {said.format(first=first)}")
    assert refusal.endswith("or two files of it\n" if revision == "older" else f"{revisions.TRY}\n")
    assert refusal.count("\n") == 1
    assert "claims-lint-" not in refusal, "the folder of one run"


def test_reading_a_revision_leaves_the_repository_alone(repository, read):
    def state():
        ask = ["git", "status", "--porcelain", "--ignored"]
        shown = subprocess.run(ask, cwd=repository, capture_output=True, text=True, check=True)
        trees = subprocess.run(
            ["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True
        )
        return shown.stdout, trees.stdout.count("claims-lint")

    assert read("weaker").seal != read("moved").seal
    assert state() == (" M CHANGELOG.md\n", 0)


def test_three_dots_compare_with_where_two_revisions_parted(repository, monkeypatch):
    monkeypatch.setattr(revisions, "ROOT", repository)
    asked = []
    monkeypatch.setattr(revisions, "read_revision", lambda name: asked.append(name) or None)
    from harness.cli.lint import _read_states

    _read_states(["weaker...moved"])
    head = subprocess.run(
        ["git", "rev-parse", "moved"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert asked == [head.stdout.strip(), "moved"]
