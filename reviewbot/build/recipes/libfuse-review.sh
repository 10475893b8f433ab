# SPDX-License-Identifier: GPL-2.0-or-later
# /src: tree, read-only; /obj: objects kept for reviews. The examples are built, too: they use what a patch adds.
if [ ! -e /obj/build.ninja ]; then
	find /obj -mindepth 1 -delete
	meson setup /obj /src --prefix=/stack --libdir=lib --sysconfdir=/stack/etc --buildtype=debugoptimized \
		-Dexamples=true -Dtests=false -Duseroot=false -Dinitscriptdir= -Dudevrulesdir=/stack/lib/udev/rules.d
fi
ninja -C /obj -j "$JOBS" -k 0
