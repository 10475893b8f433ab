# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a leg cannot run with what was built, in one line."""

from reviewbot.config import load_stack
from reviewbot.model.artifacts import Artifact, Artifacts, Fact
from reviewbot.runner import missing

READY: dict[str, dict[str, Fact]] = {
    "kernel": {"fuse_iomap": True},
    "libfuse": {"iomap": True},
    "e2fsprogs": {"fuse4fs": True, "fuse4fs_iomap": True},
}


def built(unprovable: dict[str, str] | None = None, **facts: dict[str, Fact]) -> Artifacts:
    made = {kind: Artifact(kind=kind, key=kind, path="/x", facts=had) for kind, had in {**READY, **facts}.items()}
    return Artifacts(artifacts=made, unprovable=unprovable or {})


def why(leg: str, artifacts: Artifacts) -> str:
    return missing(load_stack().leg(leg), artifacts)


def test_a_leg_whose_parts_are_all_there_can_run() -> None:
    assert why("fuse4fs-iomap", built()) == ""


def test_the_first_part_that_lacks_iomap_is_named() -> None:
    assert why("fuse4fs-iomap", built(kernel={"fuse_iomap": False})) == "this kernel has no fuse iomap"
    assert why("fuse2fs-iomap", built(e2fsprogs={"fuse2fs": True})) == "this e2fsprogs has no fuse2fs iomap"


def test_kernel_and_library_that_do_not_agree_make_the_legs_unavailable_that_need_them_to() -> None:
    differ = {"iomap": "kernel and libfuse do not agree on FUSE_IOMAP_BEGIN"}
    assert why("fuse4fs-iomap", built(differ)) == differ["iomap"]
    assert why("fuse4fs", built(differ)) == ""


def test_a_service_needs_a_tree_that_has_one_and_a_guest_that_can_run_it() -> None:
    assert why("fuse4fs-service", built()) == "this e2fsprogs has no fuse4fs service"
    with_service = built(e2fsprogs={"fuse4fs": True, "fuse4fs_service": True})
    assert why("fuse4fs-service", with_service) == "this libfuse has no service"
    library: dict[str, Fact] = {"iomap": True, "service": True}
    with_service = built(e2fsprogs={"fuse4fs": True, "fuse4fs_service": True}, libfuse=library)
    assert why("fuse4fs-service", with_service) == "this guest has no systemd"
