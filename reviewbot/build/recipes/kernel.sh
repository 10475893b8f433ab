# SPDX-License-Identifier: GPL-2.0-or-later
# kernel.sh config|build. /src: tree, read-only; /obj: kept objects; /out: empty. LOCAL_VERSION ends `uname -r`.
# config reads the fragments on its standard input. PROFILED: directories whose objects count what runs.
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

# kbuild asks this for each object it compiles, in the directory it is in; one that says no in its makefile is obeyed,
# as an assignment there goes before the environment. Only objects whose flags change are compiled again.
export GCOV_PROFILE="\$(if \$(filter $PROFILED,\$(obj)),y)"
# Beside the kernel's own flags: what is inlined before the counters are put in leaves its caller's line without one.
gcov='-fprofile-arcs -ftest-coverage -fno-tree-loop-im -fprofile-update=atomic -fno-early-inlining'
make_ -s -j "$JOBS" CFLAGS_GCOV="$gcov" bzImage
make_ -s kernelrelease > /out/release
cp /obj/arch/x86/boot/bzImage /obj/System.map /out/
for folder in $PROFILED; do
	mkdir -p "/out/gcno/$folder"
	find "/obj/$folder" -maxdepth 1 -name '*.gcno' -exec cp -t "/out/gcno/$folder" {} +
done
