# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments of a kernel configuration: read with their reason, merged, and checked for survival."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.build.kconfig import (
    ConfigLost,
    Fragment,
    check_survival,
    decides,
    fragment_text,
    load_fragments,
    parse_config,
    parse_fragment,
    symbols,
)
from reviewbot.host.data import data_path
from reviewbot.host.git import init_bare
from reviewbot.model.errors import ConfigError
from reviewbot.model.verdict import ExitStatus
from tests.host.trees import make_tree

HEAD = "# TAG: fs\n# WHY: filesystems\n"
KCONFIG = {
    "Kconfig": 'source "fs/Kconfig"\n',
    "fs/Kconfig": 'menuconfig BLOCK\n\tbool "block"\nconfig EXT4_FS\n\ttristate "ext4"\n\tdepends on BLOCK\n',
    "fs/fuse/Kconfig.iomap": '  config FUSE_IOMAP  \n\tbool "iomap"\n# config NOT_THIS\n\t  config of nothing\n',
}


DEFINED = frozenset({"BLOCK", "EXT4_FS", "FUSE_IOMAP"})


def fragment(*values: tuple[str, str], tag: str = "fs") -> Fragment:
    return Fragment(tag, "filesystems", tuple((f"CONFIG_{name}", value) for name, value in values))


def test_a_fragment_has_a_tag_a_reason_and_values_in_their_order() -> None:
    text = f'{HEAD}# by the way\n\nCONFIG_EXT4_FS=y\n# CONFIG_QUOTA is not set\nCONFIG_CMDLINE="a=b"\nCONFIG_NR=0x10\n'
    assert parse_fragment("fs.config", text) == fragment(
        ("EXT4_FS", "y"), ("QUOTA", "n"), ("CMDLINE", '"a=b"'), ("NR", "0x10")
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "# TAG:: is missing"),
        ("CONFIG_X=y\n", 1, "# TAG:: is missing"),
        ("# TAG:\n# WHY: x\n", 1, "is missing"),
        ("# TAG: fs\nCONFIG_X=y\n", 2, "# WHY:: is missing"),
        (f"{HEAD}CONFIG_X\n", 3, "not a symbol: CONFIG_X"),
        (f"{HEAD}\nEXT4_FS=y\n", 4, "not a symbol: EXT4_FS=y"),
        (f"{HEAD}CONFIG_X = y\n", 3, "not a symbol"),
    ],
)
def test_a_malformed_fragment_is_named_by_file_and_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_fragment("kconfigs/fs.config", text)
    assert str(caught.value).startswith(f"kconfigs/fs.config:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("path", sorted(data_path("kconfigs").rglob("*.config")), ids=lambda path: path.name)
def test_each_shipped_fragment_is_read_and_says_why(path: Path) -> None:
    found = parse_fragment(path.name, path.read_text())
    assert found.tag == path.stem
    assert len(found.why) > 20
    assert found.values
    assert all(value in ("y", "n") or value.isdigit() for _, value in found.values), "nothing is a module"


def test_shipped_fragments_come_in_the_order_of_their_names_and_do_not_ask_twice() -> None:
    found = load_fragments()
    assert [f.tag for f in found] == sorted(f.tag for f in found)
    symbols = [symbol for f in found for symbol, _ in f.values]
    assert len(symbols) == len(set(symbols))


def test_a_variants_fragments_come_last_and_only_when_they_are_named() -> None:
    plain = load_fragments()
    assert load_fragments(("lockdep", "kasan"))[len(plain) :] == tuple(
        parse_fragment(name, data_path(f"kconfigs/variants/{name}.config").read_text()) for name in ("lockdep", "kasan")
    )
    assert not {"kasan", "lockdep"} & {f.tag for f in plain}
    with pytest.raises(ConfigError, match=r"kconfigs/variants/none\.config: no such file"):
        load_fragments(("none",))


def test_fragments_are_merged_in_order_and_read_again() -> None:
    text = fragment_text([fragment(("EXT4_FS", "y"), ("QUOTA", "n")), fragment(("NR_CPUS", "16"), tag="base")])
    assert text == "CONFIG_EXT4_FS=y\n# CONFIG_QUOTA is not set\nCONFIG_NR_CPUS=16\n"
    assert parse_config(text) == {"CONFIG_EXT4_FS": "y", "CONFIG_NR_CPUS": "16"}


SYMBOLS = st.from_regex(r"[A-Z0-9_]{1,20}", fullmatch=True)
VALUES = st.dictionaries(SYMBOLS, st.sampled_from(["y", "n", "16", '"text"', '""']), min_size=1)


@given(VALUES)
def test_what_is_merged_survives_in_a_configuration_that_granted_all(values: dict[str, str]) -> None:
    asked = fragment(*values.items())
    assert parse_fragment("x", HEAD + fragment_text([asked])) == asked
    assert check_survival([asked], parse_config(fragment_text([asked])), ()) == ()


def test_all_granted_means_nothing_to_say() -> None:
    config = parse_config("#\n# Automatically generated file\n#\nCONFIG_EXT4_FS=y\n# CONFIG_BLOCK is not set\n")
    assert check_survival([fragment(("EXT4_FS", "y"), ("BLOCK", "n"))], config, DEFINED) == ()


def test_a_symbol_that_was_not_granted_is_named_with_its_fragment() -> None:
    asked = [fragment(("EXT4_FS", "y")), fragment(("BLOCK", "n"), ("FUSE_IOMAP", "y"), tag="extra")]
    with pytest.raises(ConfigLost) as caught:
        check_survival(asked, {"CONFIG_EXT4_FS": "m", "CONFIG_BLOCK": "y"}, DEFINED)
    assert caught.value.lost == (
        ("CONFIG_EXT4_FS", "y", "m", "fs"),
        ("CONFIG_BLOCK", "n", "y", "extra"),
        ("CONFIG_FUSE_IOMAP", "y", "n", "extra"),
    )
    assert "CONFIG_FUSE_IOMAP=y (is n, asked by extra)" in str(caught.value)
    assert "dependency" in caught.value.hint
    assert caught.value.exit_status is ExitStatus.INFRA


def test_a_symbol_that_this_tree_does_not_have_is_recorded_and_no_error() -> None:
    asked = fragment(("EXT4_FS", "y"), ("FUSE_BACKING", "y"), ("NOT_THIS", "y"), ("OLD", "n"))
    assert check_survival([asked], {"CONFIG_EXT4_FS": "y"}, DEFINED) == ("CONFIG_FUSE_BACKING", "CONFIG_NOT_THIS")


def test_a_symbol_with_another_number_is_lost() -> None:
    with pytest.raises(ConfigLost, match=r"CONFIG_BLOCK=16 \(is 8, asked by fs\)"):
        check_survival([fragment(("BLOCK", "16"))], {"CONFIG_BLOCK": "8"}, DEFINED)


def test_fragments_that_contradict_each_other_are_noticed() -> None:
    asked = [fragment(("BLOCK", "n"), tag="a"), fragment(("BLOCK", "y"), tag="b")]
    with pytest.raises(ConfigLost, match="asked by a"):
        check_survival(asked, parse_config(fragment_text(asked)), DEFINED)


def test_the_symbols_of_a_tree_are_those_of_all_its_kconfig_files(tmp_path: Path) -> None:
    repository = init_bare(tmp_path / "kernel.git")
    files = {name: text.encode() for name, text in KCONFIG.items()}
    more = {"fs/Makefile": b"config NOT_KCONFIG\n", "lib/Kconfig.d/Kconfig": b"config LATIN\n# \xe9\n"}
    assert symbols(repository, make_tree(repository, {**files, **more})) == {*DEFINED, "LATIN"}
    assert symbols(repository, make_tree(repository, {"Kconfig": b"# nothing\n"})) == frozenset()


@pytest.mark.parametrize(
    ("path", "decided"),
    [
        ("Kconfig", True),
        ("fs/fuse/Kconfig", True),
        ("kernel/Kconfig.preempt", True),
        ("Makefile", True),
        ("arch/x86/Makefile", True),
        ("arch/x86/Makefile.um", True),
        ("scripts/cc-version.sh", True),
        ("scripts/kconfig/conf.c", True),
        ("kernel/configs/tiny.config", True),
        ("arch/x86/configs/tiny.config", True),
        ("fs/fuse/Makefile", False),
        ("fs/fuse/dev.c", False),
        ("fs/configfs/item.c", False),
        ("tools/scripts/Makefile.arch", False),
    ],
)
def test_what_decides_about_a_configuration(path: str, decided: bool) -> None:
    assert decides(path) is decided


def test_a_symbol_that_another_version_calls_otherwise_may_be_refused() -> None:
    known = frozenset({"VOLUNTARY", "LAZY"})
    asked = parse_fragment("x", HEAD + "# EITHER: CONFIG_VOLUNTARY CONFIG_LAZY\nCONFIG_VOLUNTARY=y\n")
    assert check_survival([asked], {"CONFIG_LAZY": "y"}, known) == ()
    with pytest.raises(ConfigLost, match="CONFIG_VOLUNTARY=y"):
        check_survival([asked], {"CONFIG_NEITHER": "y"}, known)
