# SPDX-License-Identifier: GPL-2.0-or-later
# kernel.sh config|build. /src: tree, read-only; /obj: kept objects; /out: empty. LOCAL_VERSION ends `uname -r`.
# config reads the fragments on its standard input.
# Fixed time, user and host: the same tree gives the same image, and nothing is rebuilt for the date's sake.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1 \
	KBUILD_BUILD_USER=reviewbot KBUILD_BUILD_HOST=reviewbot
make_() { make -C /src O=/obj LOCALVERSION="$LOCAL_VERSION" "$@"; }

if [ "$1" = config ]; then
	make_ -s KCONFIG_CONFIG=wanted.config tinyconfig > /dev/null < /dev/null
	cat >> /obj/wanted.config
	make_ -s KCONFIG_CONFIG=wanted.config olddefconfig 2> >(grep -v "override: reassigning" >&2)
	# kbuild rebuilds what depends on a symbol; a .config with a new date and the same symbols must not touch anything.
	cmp -s /obj/wanted.config /obj/.config || cp /obj/wanted.config /obj/.config
	cp /obj/.config /out/config
	exit
fi

make_ -s -j "$JOBS" bzImage
make_ -s kernelrelease > /out/release
cp /obj/arch/x86/boot/bzImage /obj/System.map /out/
