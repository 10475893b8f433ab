# SPDX-License-Identifier: GPL-2.0-or-later
# /src: tree, read-only; /obj: objects kept for reviews; arguments: targets; stdin: what is wanted of the configuration.
# CONFIGURE, SPARSE: yes or no.
# Nothing here may differ from one patch to the next, else kbuild compiles everything again.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1 \
	KBUILD_BUILD_USER=reviewbot KBUILD_BUILD_HOST=reviewbot
make_() { make -C /src O=/obj LOCALVERSION=-rb-review "$@"; }

if [ "$CONFIGURE" = yes ]; then
	make_ -s KCONFIG_CONFIG=wanted.config tinyconfig > /dev/null < /dev/null
	cat >> /obj/wanted.config
	make_ -s KCONFIG_CONFIG=wanted.config olddefconfig 2> >(grep -v "override: reassigning" >&2)
	cmp -s /obj/wanted.config /obj/.config || cp /obj/wanted.config /obj/.config
fi
if [ $# -eq 0 ]; then exit 0; fi

# What sparse and kernel-doc think of a file must not decide whether it builds.
cat > /tmp/sparse <<'CHECK'
#!/bin/sh
timeout 60 sparse "$@" 2>&1 | head -c 100000 | sed 's/^/sparse: /'
exit 0
CHECK
# Linux 6.18 and later have kernel-doc in tools/docs; reviewbot/build/warnings.py has these names, too.
cat > /tmp/kernel-doc <<'CHECK'
#!/usr/bin/python3
import os, sys
names = ("tools/docs/kernel-doc", "scripts/kernel-doc", "scripts/kernel-doc.py")
found = next((path for name in names if os.access(path := f"/src/{name}", os.X_OK)), None)
if found:
    os.spawnv(os.P_WAIT, found, ["kernel-doc", *sys.argv[1:]])
CHECK
chmod +x /tmp/sparse /tmp/kernel-doc
check=
if [ "$SPARSE" = yes ]; then check="C=1 CHECK=/tmp/sparse"; fi
# shellcheck disable=SC2086 # the words of $check
make_ --output-sync=target --keep-going -j "$JOBS" W=1 KERNELDOC=/tmp/kernel-doc $check "$@" < /dev/null
