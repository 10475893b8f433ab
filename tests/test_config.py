# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings and stacks: what is wrong in a file is named by file, line and key."""

from pathlib import Path

import pytest

from reviewbot.config import DEFAULT_ARCHIVE, Site, load_site, load_stack, load_yaml
from reviewbot.model.errors import ConfigError
from reviewbot.model.stack import Stack
from reviewbot.model.verdict import ExitStatus


def write(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text)
    return path


def test_no_site_file_means_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REVIEWBOT_SITE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_site() == Site()
    assert load_site().archive == DEFAULT_ARCHIVE


def test_a_site_file_the_user_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file"):
        load_site(tmp_path / "absent.yaml")
    monkeypatch.setenv("REVIEWBOT_SITE", str(tmp_path / "mistyped.yaml"))
    with pytest.raises(ConfigError, match=r"mistyped\.yaml: no such file") as caught:
        load_site()
    assert "REVIEWBOT_SITE" in caught.value.hint


def test_the_option_wins_over_the_variable_and_the_variable_over_the_config_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("option", "variable", "config/reviewbot"):
        (tmp_path / name).mkdir(parents=True)
        write(tmp_path / name, f"archive: https://{name.partition('/')[0]}.example.org/all\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("REVIEWBOT_SITE", raising=False)
    assert load_site().archive == "https://config.example.org/all"
    monkeypatch.setenv("REVIEWBOT_SITE", str(tmp_path / "variable" / "site.yaml"))
    assert load_site().archive == "https://variable.example.org/all"
    assert load_site(tmp_path / "option" / "site.yaml").archive == "https://option.example.org/all"


def test_relative_paths_are_below_the_site_files_folder_wherever_it_is_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "components:\n"
        "  e2fsprogs: {provider: dir, path: src/e2fsprogs}\n"
        "  libfuse: {provider: git, url: ../libfuse.git, ref: master}\n"
        "  kernel: {provider: git, url: 'git@example.org:linux.git', ref: master}\n"
        "  lkl: {provider: git, url: 'https://example.org/lkl.git', ref: master}\n"
        "bases:\n  kernel:\n    - {source: {provider: git, url: vfs.git, ref: vfs.all}, why: ours}\n"
        "reviewers:\n  - {name: rules, path: reviewers}\n"
    )
    write(tmp_path, text)
    monkeypatch.chdir(tmp_path.parent)
    site = load_site(Path(tmp_path.name) / "site.yaml")
    assert site.components["e2fsprogs"].path == f"{tmp_path}/src/e2fsprogs"
    assert site.components["libfuse"].url == f"{tmp_path}/../libfuse.git"
    assert site.components["kernel"].url == "git@example.org:linux.git"
    assert site.components["lkl"].url == "https://example.org/lkl.git"
    assert (site.bases["kernel"][0].source or site.components["lkl"]).url == f"{tmp_path}/vfs.git"
    assert site.reviewers[0].path == f"{tmp_path}/reviewers"
    assert site.attestation.keyring == ""


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("archiv: https://example.org/all\n", 1, "archiv: unknown key"),
        ("accelerator: auto\ncomponents:\n  kernel:\n    provider: svn\n", 4, "components.kernel.provider"),
        ("machine:\n  cpus: 0\n", 2, "machine.cpus"),
        ("components: [\n", 2, "expected"),
        ("- a\n- list\n", 1, "must be a mapping"),
        ("archive: \t%\n", 1, "found character"),
    ],
)
def test_a_malformed_site_file_is_named_with_line_and_key(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert str(caught.value).startswith(f"{path}:{line}:")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status is ExitStatus.USAGE


def test_a_site_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(b"archive: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 9"):
        load_site(path)


def test_the_site_replaces_a_source_and_drops_its_fallback(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, "components:\n  kernel: {provider: dir, path: /src/linux}\n"))
    kernel = load_stack("fuse", site).component("kernel")
    assert kernel.source.provider == "dir"
    assert kernel.fallback is None
    assert load_stack().component("kernel").source.provider == "git"


def test_the_sites_bases_are_tried_before_those_of_the_stack(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, "bases:\n  kernel:\n    - {ref: mine, why: ours}\n"))
    kernel = load_stack("fuse", site).component("kernel")
    assert [candidate.ref or candidate.tags for candidate in kernel.candidates][:2] == ["mine", "v[0-9]*"]
    assert kernel.fallback is not None
    with pytest.raises(ConfigError, match=r"bases\.kernle: .*no component kernle"):
        load_stack("fuse", load_site(write(tmp_path, "bases:\n  kernle:\n    - {ref: mine, why: ours}\n")))


def test_every_candidate_names_a_ref_or_tags_and_its_reason() -> None:
    for component in load_stack().components:
        for candidate in component.candidates:
            assert candidate.why
            assert bool(candidate.ref) is not bool(candidate.tags)


def test_a_component_the_stack_does_not_have(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, "components:\n  kernle: {provider: dir, path: /src/linux}\n"))
    with pytest.raises(ConfigError, match="no component kernle") as caught:
        load_stack("fuse", site)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "site.yaml"), 2)
    assert caught.value.hint == "did you mean kernel?"


def test_an_unknown_stack_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_stack("zfs")
    assert "fuse" in caught.value.hint


def test_every_leg_needs_only_components_that_exist() -> None:
    stack = load_stack()
    names = {component.name for component in stack.components}
    assert stack.default_legs == ("ext4", "fuse2fs", "fuse4fs", "fuse4fs-iomap", "lklfuse")
    for leg in stack.legs:
        assert set(leg.needs) <= names
        assert {requirement.split(".")[0] for requirement in leg.requires} <= {*names, "guest"}


def test_every_route_has_a_reason() -> None:
    routes = [route for component in load_stack().components for route in component.routes]
    assert routes
    assert all(route.why for route in routes)


def test_a_stack_file_error_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "stack.yaml"
    path.write_text("name: x\ndefault_tests: a\ncomponents:\n  - name: kernel\n    recipe: kernel\nlegs: []\n")
    with pytest.raises(ConfigError) as caught:
        load_yaml(path, Stack)
    assert (caught.value.line, caught.value.key) == (4, "components.0.source")


def test_legs_that_run_only_when_asked_are_there_for_who_names_them() -> None:
    stack = load_stack()
    rare = {leg.name for leg in stack.legs} - set(stack.default_legs)
    assert rare == {"fuse4fs-iomap-1k", "fuse4fs-iomap-2k", "fuse2fs-iomap", "fuse4fs-service"}


def test_iomap_is_forbidden_in_the_legs_that_it_is_compared_with() -> None:
    stack = load_stack()
    for leg in (leg for leg in stack.legs if leg.server in ("fuse2fs", "fuse4fs")):
        assert ("iomap=1" if "iomap" in leg.prove else "iomap=0") in leg.mount_options.split(",")


@pytest.mark.parametrize(
    ("source", "key"),
    [("provider: deb, suite: trixie", "package"), ("provider: git, ref: v1", "url"), ("provider: dir", "path")],
)
def test_a_source_without_its_key_is_refused_with_its_line(tmp_path: Path, source: str, key: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"components:\n  libfuse: {{{source}}}\n")
    with pytest.raises(ConfigError, match=rf"site\.yaml:2: .*{key} is missing"):
        load_site(path)
