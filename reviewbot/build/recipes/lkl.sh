# SPDX-License-Identifier: GPL-2.0-or-later
# LKL builds in its tree: /src is empty, or the tree of base with the objects of base in it; /pristine: what is to be
# built; stdin: the paths in which it differs from base. Which libfuse lklfuse wants is the tree's own choice:
# before 6.6 libfuse 2 (of the build root), then libfuse 3 (the stack's, which it seeks on the compiler's own path).
export CPATH=/stack/include LIBRARY_PATH=/stack/lib PKG_CONFIG_PATH=/stack/lib/pkgconfig LDFLAGS=-Wl,-rpath,/stack/lib
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_USER=reviewbot KBUILD_BUILD_HOST=reviewbot
export KBUILD_BUILD_VERSION=1 # else the image counts how often it was linked
# Its header generator is Python 3 and asks for `python`, which Debian does not have.
mkdir -p /tmp/bin
ln -sf /usr/bin/python3 /tmp/bin/python
export PATH=/tmp/bin:$PATH

if [ -e Makefile ]; then
	cat > /tmp/differ
	xargs -0 -r -a /tmp/differ rm -rf --
	# shellcheck disable=SC2016 # expanded by the inner shell
	(cd /pristine && xargs -0 -r -a /tmp/differ sh -c 'for path; do
		if [ -e "$path" ] || [ -L "$path" ]; then cp -a --parents -t /src -- "$path"; fi; done' sh)
else
	cp -a /pristine/. .
fi
if [ "${BASE:-no}" = yes ]; then # without libfuse: what is linked with it is not kept
	make -C tools/lkl -j "$JOBS" "$PWD/tools/lkl/lib/lkl.o"
	exit
fi

if grep -q '^LDLIBS_lklfuse.*fuse3' tools/lkl/Targets; then wanted=yes package=fuse3; else wanted=no package=fuse; fi
# Only the kernel's own objects may be kept. Its makefile never asks kbuild again once lkl.o is there, whatever changed
# in fs/, and what was found out about another libfuse, or linked with it, is not ours.
(cd tools/lkl && rm -f Makefile.conf lib/lkl.o liblkl.a lklfuse lklfuse-in.o lklfuse.o)
make -C tools/lkl -j "$JOBS" "$PWD/tools/lkl/lklfuse"

mkdir -p /out/stack/bin
cp tools/lkl/lklfuse /out/stack/bin/
dynamic() { readelf -d "$2" 2> /dev/null | sed -n "s/.*($1).*\[\(.*\)\].*/\1/p"; }
number() { sed -n "s/^$1 = //p" Makefile; }
cat > /out/facts <<FACTS
version=$(number VERSION).$(number PATCHLEVEL).$(number SUBLEVEL)$(number EXTRAVERSION)
libfuse=$(pkg-config --modversion $package)
libfuse3_wanted=$wanted
libfuse3_soname=$(dynamic SONAME /stack/lib/libfuse3.so)
lklfuse_libfuse=$(dynamic NEEDED tools/lkl/lklfuse | grep '^libfuse')
lklfuse_rpath=$(dynamic 'R[UN]*PATH' tools/lkl/lklfuse)
FACTS
