# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel of a few objects, with the targets that reviewbot asks of the real one, built in seconds."""

from functools import partial
from pathlib import Path

from tests.build.commits import Series

MAKEFILE = """\
# Builds in $(O), as kbuild does: an object is made again when its source, a header or its command is newer.
MAKEFLAGS += -rR
SHELL := /bin/bash
Makefile fs/fuse/Makefile: ;
objects := init/version.o fs/fuse/inode.o fs/fuse/dev.o
ifneq ($(filter-out tinyconfig olddefconfig kernelrelease,$(MAKECMDGOALS)),)
-include fs/fuse/Makefile
endif
release := 7.1.0$(LOCALVERSION)
COMPILE := $(if $(wildcard /usr/bin/gcc),gcc,bash $(CURDIR)/compile)
LINK := $(if $(wildcard /usr/bin/gcc),ld -r -o arch/x86/boot/bzImage,cat > arch/x86/boot/bzImage)

tinyconfig:
	@echo "configured" >&2
	echo 'CONFIG_TINY=y' > $(O)/$(KCONFIG_CONFIG)
olddefconfig:
	@grep -q TINY $(O)/$(KCONFIG_CONFIG)
kernelrelease:
	@echo $(release)
bzImage: $(addprefix $(O)/,$(objects))
	mkdir -p $(O)/arch/x86/boot
	cd $(O) && $(LINK) $(objects) && cat $(objects) > System.map
$(O)/init/version.o: FORCE
	@mkdir -p $(O)/init
	@echo 'char version[] = "$(release)";' > $(O)/init/version.new
	@cmp -s $(O)/init/version.new $(O)/init/version.c || { cp $(O)/init/version.new $(O)/init/version.c; \\
		$(COMPILE) -c -o $@ $(O)/init/version.c; }
$(O)/%.o: %.c include/fuse.h
	@mkdir -p $(@D)
	@echo "  CC      $*.o"
	@$(COMPILE) -Wall -Iinclude -c -o $@ $< || \\
		{ echo "make[4]: *** [/src/scripts/Makefile.build:194: $*.o] Error 1" >&2; exit 1; }
	@echo "source_$*.o := /src/$<" > $(@D)/.$(@F).cmd
	@echo "deps_$*.o := /src/include/fuse.h" >> $(@D)/.$(@F).cmd
fs/fuse/: $(addprefix $(O)/,$(filter fs/fuse/%,$(objects)))
$(objects): %.o: FORCE
	@$(MAKE) -f $(CURDIR)/Makefile O=$(O) $(O)/$@
FORCE:
.PHONY: FORCE fs/fuse/ tinyconfig olddefconfig kernelrelease bzImage
"""
COMPILE = """\
# For a build root without a compiler: compile OPTIONS -o OBJECT SOURCE
while [ $# -gt 1 ]; do if [ "$1" = -o ]; then object=$2; fi; shift; done
! grep -q nix "$1" && cat include/fuse.h "$1" > "$object"
"""
FILES = {
    "compile": COMPILE, "Makefile": MAKEFILE,
    "include/fuse.h": "int fuse_init(void);\n", "fs/fuse/Makefile": "# nothing yet\n",
    "fs/fuse/inode.c": '#include "fuse.h"\nchar said[] = "init";\nint fuse_init(void)\n{\n\treturn 0;\n}\n',
    "fs/fuse/dev.c": '#include "fuse.h"\nint fuse_dev(void)\n{\n\treturn fuse_init();\n}\n',
    "fs/fuse/Kconfig": "config FUSE_FS\n",
}  # fmt: skip


def small_kernel(folder: Path) -> Series:
    """A series on this kernel, as yet without a patch."""
    start = Series.from_nothing(folder, "kernel")
    start.patch("base", {path: partial(str.__add__, text) for path, text in FILES.items()})
    return Series(start.repository, start.head, "kernel")
