# SPDX-License-Identifier: GPL-2.0-or-later
"""Being root over one's own files only, in a user namespace, for those who are not root."""

import os
import shutil

from reviewbot.model.errors import InfraError


def as_root() -> tuple[str, ...]:
    """Words before a command that must own files of several users; none for root.

    Inside, root is this user and the other ids are the user's own subordinate ones (/etc/subuid), so a Debian root
    can be made, and what it holds keeps its owners in an image. Raises InfraError when the machine lacks the means.
    """
    if os.geteuid() == 0:
        return ()
    if shutil.which("newuidmap", path=f"{os.environ.get('PATH', '')}:/usr/bin") is None:
        raise InfraError("`newuidmap` is not installed", hint="apt-get install uidmap (or run as root)")
    return ("unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--")
