# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian folders made by mmdebstrap: the build root, and what the guest image is made of."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid5

from reviewbot.config import load_yaml
from reviewbot.host.apt import codename, machine_stanzas, sources_for
from reviewbot.host.data import data_path
from reviewbot.host.files import remove_tree, sha256_file
from reviewbot.host.process import run
from reviewbot.host.rootless import as_root
from reviewbot.host.sandbox import MOUNT_POINTS
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.base import Model
from reviewbot.store import Store

BUILDROOT_VERSION = "3"
GUEST_VERSION = "3"
_LIMIT = 1800.0
# What no build and no test reads; a third of the size.
_LEAVE_OUT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
)
_IMAGES = UUID("6c7f3b0e-6d0b-5a43-9d5c-0d3c1d8f8a51")
"""Namespace of the UUIDs of images."""
_FIXED_TIME = {"E2FSPROGS_FAKE_TIME": "1"}
_FIRST_INODE = 11
"""lost+found; mke2fs gives the numbers after it to what it copies."""
USERS = ("fsgqa", "fsgqa2", "123456-fsgqa")
"""Users and groups that fstests wants."""


class PackageGroup(Model):
    """Some packages and why."""

    why: str
    names: tuple[str, ...]


class Packages(Model):
    """`qemu/buildroot.yaml`, `qemu/guest.yaml`."""

    packages: tuple[PackageGroup, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({name for group in self.packages for name in group.names}))


def load_packages(kind: str) -> Packages:
    """Raises ConfigError."""
    return load_yaml(data_path(f"qemu/{kind}.yaml"), Packages)


def buildroot(store: Store, suite: str, log: Path) -> Artifact:
    """The folder that all builds run in. Facts: a hash of all package versions, and the compiler's version."""
    names = load_packages("buildroot").names
    inputs = {"suite": suite, "packages": " ".join(names), "version": BUILDROOT_VERSION}

    def build(folder: Path) -> Mapping[str, Fact]:
        root = folder / "root"
        _bootstrap(root, suite, names, folder, log)
        for name in MOUNT_POINTS:
            (root / name).mkdir(exist_ok=True)
        run([*as_root(), "find", root, "-xdev", "-perm", "/6000", "-exec", "chmod", "ug-s", "{}", "+"])
        return _manifest(root)

    return store.get("buildroot", inputs, build)


def guest(store: Store, suite: str, log: Path) -> Artifact:
    """`root.img`: a read-only ext4 image with the packages, our init and fstests' users."""
    names = load_packages("guest").names
    init = data_path("qemu/init")
    inputs = {"suite": suite, "packages": " ".join(names), "init": sha256_file(init), "version": GUEST_VERSION}

    def build(folder: Path) -> Mapping[str, Fact]:
        root = folder / "root"
        _bootstrap(root, suite, names, folder, log)
        _furnish(root, init)
        facts = _manifest(root)
        make_image(root, folder / "root.img", log)
        remove_tree(root)
        return facts

    return store.get("guest", inputs, build)


def _bootstrap(root: Path, suite: str, names: tuple[str, ...], folder: Path, log: Path) -> None:
    here = codename()
    sources = folder / "machine.sources"
    text = sources_for(suite, here, machine_stanzas())
    sources.write_text(text.replace("Types: deb deb-src", "Types: deb"))
    run(
        [*as_root(), "mmdebstrap", "--mode=root", "--variant=apt", "--quiet", "--aptopt=Acquire::Languages \"none\"",
         "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
         "--dpkgopt=path-exclude=/usr/share/doc/*", f"--include={','.join(names)}", suite, root, sources],
        log=log, timeout=_LIMIT,
    )  # fmt: skip
    sources.unlink()
    for path in _LEAVE_OUT:
        remove_tree(root / path)


def _furnish(root: Path, init: Path) -> None:
    target = root / "sbin" / "reviewbot-init"
    target.write_bytes(init.read_bytes())
    target.chmod(0o755)
    for name in ("stack", "old", "mnt/test", "mnt/scratch", "results"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with (root / "etc/passwd").open("a") as passwd, (root / "etc/group").open("a") as group:
        for number, user in enumerate(USERS, 1001):
            passwd.write(f"{user}:x:{number}:{number}::/home/{user}:/bin/bash\n")
            group.write(f"{user}:x:{number}:\n")
            home = root / "home" / user
            home.mkdir(mode=0o700, parents=True)
            run([*as_root(), "chown", f"{number}:{number}", home])
    with (root / "etc/shadow").open("a") as shadow:
        shadow.writelines(f"{user}:*:19000:0:99999:7:::\n" for user in USERS)
    (root / "etc/fstab").write_text("")
    (root / "etc/hostname").write_text("reviewbot\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost reviewbot\n")
    mtab = root / "etc/mtab"
    mtab.unlink(missing_ok=True)
    mtab.symlink_to("/proc/self/mounts")


def _manifest(root: Path) -> dict[str, Fact]:
    """Hash of all installed packages with their versions, and what people ask for."""
    form = "${Package} ${Version}\n"
    said = run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", f"-f={form}"]).output
    versions = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    facts: dict[str, Fact] = {"manifest": hashlib.sha256(said.encode()).hexdigest(), "packages": len(versions)}
    for name in ("gcc", "binutils", "make", "xfsprogs", "fio", "systemd"):
        if name in versions:
            facts[name] = versions[name]
    return facts


def make_image(folder: Path, image: Path, log: Path, *, label: str = "reviewbot") -> None:
    """An ext4 image of a folder, a little larger than its content. Without a journal: it is only read."""
    used = int(run([*as_root(), "du", "-s", "--block-size=1024", "--apparent-size", folder]).output.split()[0])
    files = int(run([*as_root(), "sh", "-c", 'find "$0" | wc -l', folder]).output)
    size = used * 5 // 4 + files * 5 + (16 << 10)  # KiB; each file takes an inode and up to one block more
    uuid, seed = (uuid5(_IMAGES, f"{label} {what}") for what in ("uuid", "hash seed"))
    run(
        [*as_root(), "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-L", label, "-U", str(uuid),
         "-N", str(files + 1000), "-E", f"lazy_itable_init=1,nodiscard,hash_seed={seed}", "-d", folder, image,
         f"{size}k"],
        log=log, timeout=600, env=_FIXED_TIME,
    )  # fmt: skip


def forget_times(image: Path, files: int) -> None:
    """Set the times of all files in a new image to 1970: the same files give the same image. files: how many.

    mke2fs copies the time when a file's inode was changed, which nobody can set on the host.
    """
    inodes = range(_FIRST_INODE, _FIRST_INODE + files + 1)
    names = [f"{name}{extra}" for name in ("atime", "ctime", "mtime", "crtime") for extra in ("", "_extra")]
    lines = [f"sif <{inode}> {name} {'0' if name.endswith('extra') else '@1'}" for inode in inodes for name in names]
    commands = image.with_name(f"{image.name}.times")
    commands.write_text("\n".join(lines) + "\n")
    run(["debugfs", "-w", "-f", commands, image], timeout=600, env=_FIXED_TIME)
    commands.unlink()
