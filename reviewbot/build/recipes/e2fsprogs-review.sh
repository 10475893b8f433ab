# SPDX-License-Identifier: GPL-2.0-or-later
# /src: tree, read-only; /obj: objects kept for reviews; arguments: headers that changed. CONFIGURE: yes or no.
export PKG_CONFIG_PATH=/stack/lib/pkgconfig LDFLAGS="-L/stack/lib -Wl,-rpath,/stack/lib"
servers=--enable-fuse2fs
if [ -e /src/fuse4fs/Makefile.in ]; then servers="$servers --enable-fuse4fs"; fi
cd /obj
if [ "$CONFIGURE" = yes ] || [ ! -e Makefile ]; then
	# shellcheck disable=SC2086 # the words of $servers
	/src/configure --prefix=/stack --with-root-prefix=/stack --sysconfdir=/stack/etc --disable-nls --disable-uuidd \
		--disable-fsck $servers --with-udev-rules-dir=no --with-systemd-unit-dir=no --with-crond-dir=no
fi
# Its makefiles list by hand which object includes what; a list that the patch forgot must not hide an error.
for header in "$@"; do
	# shellcheck disable=SC2038 # no object has a blank in its name
	{ grep -rlF --include='*.d' -e "$header" . || true; } | sed 's/d$/o/' | xargs -r rm -f
done
# The project's own warnings (`make gcc-wall`), without those that say nothing about a patch.
make --output-sync=target --keep-going -j "$JOBS" CFLAGS_WARN="-MMD -W -Wall -Wwrite-strings -Wpointer-arith \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wstrict-prototypes \
	-Wmissing-prototypes -Wformat-security"
