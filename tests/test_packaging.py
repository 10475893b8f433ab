# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shipped: wheel and sdist build, an installed wheel finds its data, the documents tell the truth."""

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from reviewbot.config import Site, load_yaml
from tests.conftest import ROOT

DATA = ("docs", "kconfigs", "qemu", "stacks", "workflows")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")


@pytest.mark.network
def test_the_wheel_has_all_code_and_data(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {n for n in tracked() if n.startswith("reviewbot/")}
    wanted |= {f"reviewbot/_data/{n}" for n in tracked() if n.partition("/")[0] in DATA}
    assert wanted - names == set()
    assert not any(n.startswith(("tests/", "demo/", "benchmarks/")) for n in names)


@pytest.mark.network
def test_the_sdist_has_everything_that_is_tracked(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {n for n in tracked() if n and not n.startswith(".")} - names == set()


@pytest.mark.network
def test_wheel_and_sdist_name_the_commit_that_they_were_made_of(dist: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    noted = zipfile.ZipFile(wheel).read("reviewbot/_data/_commit").decode()
    with tarfile.open(sdist) as tar:
        (member,) = (member for member in tar.getmembers() if member.name.partition("/")[2] == "_commit")
        packed = tar.extractfile(member)
        assert packed is not None and packed.read().decode() == noted
    assert noted.strip() in (head[:12], f"{head[:12]}+")


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("https://example.org/them/reviewbot.git", "https://example.org/them/reviewbot"),
        ("https://example.org/reviewbot/", "https://example.org/reviewbot"),
        ("git@example.org:them/reviewbot.git", "https://example.org/them/reviewbot"),
        ("ssh://git@example.org/them/reviewbot", "https://example.org/them/reviewbot"),
        ("https://user:token@example.org/x", ""),
        ("/srv/git/reviewbot", ""),
        ("file:///srv/git/reviewbot", ""),
        ("", ""),
    ],
)
def test_a_package_names_the_repository_that_it_was_built_from_if_others_can_reach_it(remote: str, page: str) -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec and spec.loader
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    assert hooks.web_page(remote) == page


@pytest.mark.network
def test_a_package_built_for_a_repository_leads_its_users_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)], capture_output=True,
        text=True, check=False, env={**os.environ, "REVIEWBOT_REPOSITORY": "https://example.org/them/reviewbot"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    (metadata,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    for name in ("Repository", "Documentation", "Changelog", "Issues"):
        assert f"Project-URL: {name}, https://example.org/them/reviewbot" in text


@pytest.mark.network
def test_make_install_installs_what_finds_its_data_and_make_uninstall_removes_it(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    own = tmp_path / "lib" / "reviewbot"
    venv.create(own, with_pip=True)
    python = own / "bin" / "python"
    (site,) = (own / "lib").glob("python*/site-packages")
    # Its dependencies are this environment's; the package itself must be the installed one.
    here = Path(pytest.__file__).parents[1]
    (site / "zz.pth").write_text(f"{here}\n")
    make = ["make", "-s", f"PREFIX={tmp_path}", f"FROM={wheel}", f"PYTHON={sys.executable}"]
    made = subprocess.run(
        [*make, "install"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PIP_NO_DEPS": "1"},
    )
    assert made.returncode == 0 and "is not in PATH" in made.stdout, made.stdout + made.stderr
    assert "_reviewbot" in (tmp_path / "share" / "zsh" / "site-functions" / "_reviewbot").read_text()
    script = (
        "import reviewbot; from reviewbot.config import load_stack; from reviewbot.host.data import data_path\n"
        "from reviewbot.build.components import RECIPES; from reviewbot.suites.excludes import load_excludes\n"
        "from reviewbot.suites.shortcomings import load_shortcomings; from reviewbot.crash.splats import splat_blocks\n"
        "from reviewbot.report.render import environment\n"
        "from reviewbot.config import load_variants; load_variants()\n"
        "print(reviewbot.__file__, len(load_stack().legs), len(load_excludes()), len(load_shortcomings()))\n"
        "print(data_path('qemu/agent'), splat_blocks('nothing'), environment().get_template('summary.md').name)\n"
    )
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(site)) == 2, done.stdout
    plan = subprocess.run(
        [python, "-I", "-m", "reviewbot", "plan", "--help"], capture_output=True, text=True, check=False
    )
    assert plan.returncode == 0 and "Show what would be tested" in plan.stdout
    for words, there in (
        (["docs", "site-file"], "# The site file"),
        (["workflows"], "review.yml"),
        (["man", "plan"], '.TH "REVIEWBOT\\-PLAN"'),
        (["--version"], "reviewbot 0."),
    ):
        said = subprocess.run([python, "-I", "-m", "reviewbot", *words], capture_output=True, text=True, check=False)
        assert said.returncode == 0 and there in said.stdout, said.stderr
    assert re.search(r"\([0-9a-f]{12}\+?\)", said.stdout)
    assert (
        subprocess.run([tmp_path / "bin" / "reviewbot", "--version"], capture_output=True, check=False).returncode == 0
    )
    subprocess.run([*make, "uninstall"], capture_output=True, check=True, cwd=ROOT)
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_the_site_file_of_the_documents_is_accepted(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "site-file.md").read_text()
    path = tmp_path / "site.yaml"
    sites = []
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        path.write_text(block)
        sites.append(load_yaml(path, Site))
    site, debian = sites
    assert {source.provider for source in debian.components.values()} == {"deb"}
    assert {source.provider for source in site.components.values()} == {"git", "dir", "tarball"}
    assert set(Site.model_fields) == set(site.model_fields_set), "the example shows every key"


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/results.md",
        "docs/site-file.md",
        "docs/prerequisites.md",
        "docs/reproducing.md",
    ],
)
def test_links_of_the_documents_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_of_the_readme_exists() -> None:
    wanted = set(re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert wanted == {"demo", "install", "test"} and wanted <= targets


def test_the_tree_names_no_machine_and_no_promise_for_later() -> None:
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3 + "[^X]", "type: " + "ignore", "no" + "qa"))
    pattern = re.compile(rf"\b({marks})|(?<![\w}}])/(wo" + "rk|ro" + r"ot)/")
    found = []
    for name in filter(None, tracked()):
        if name.endswith((".py", ".sh", ".md", ".yaml", ".yml", ".toml")) and (ROOT / name).exists():
            found += [f"{name}: {line}" for line in (ROOT / name).read_text().splitlines() if pattern.search(line)]
    assert found == []


def test_no_module_has_outgrown_its_page() -> None:
    long = {n: len((ROOT / n).read_text().splitlines()) for n in tracked() if n.endswith(".py") and (ROOT / n).exists()}
    assert {n: lines for n, lines in long.items() if lines > 400} == {}
