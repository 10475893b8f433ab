# SPDX-License-Identifier: GPL-2.0-or-later
# kernel-lines.sh FUNCTION+OFFSET/SIZE…: lines of the source, by the tree's own scripts/faddr2line.
# /src: tree, read-only; /kept: objects of a build of it, read-only; /obj: kept objects with debug information; stdin:
# the .config. MOST: how many objects may be compiled. LOCAL_VERSION as in kernel.sh.
# Prints per function `== FUNCTION+OFFSET/SIZE`, then what the script says; nothing for a function that differs.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1 \
	KBUILD_BUILD_USER=reviewbot KBUILD_BUILD_HOST=reviewbot
cat > /tmp/config
cmp -s /tmp/config /obj/.config || cp /tmp/config /obj/.config

# Which object has which function: `object: address size type name`.
printf '%s\n' "$@" | sed 's/+.*//' | sort -u > /tmp/names
cd /kept
find . \( -path ./scripts -o -path ./tools -o -path ./arch/x86/boot -o -path ./arch/x86/realmode -o -path '*/vdso' \) \
	-prune -o -name '*.o' ! -name '.*' ! -name 'vmlinux.o' -print0 |
	xargs -0 nm -A -S --defined-only 2> /dev/null |
	awk 'NR == FNR { wanted[$1]; next } tolower($3) == "t" && ($4 in wanted) { print }' /tmp/names - > /tmp/found
objects_of() { # those whose function is as large come first: kallsyms counts the padding that follows
	awk -v name="${1%+*}" -v size=$((${1##*/})) '
		function number(hex,   n, i) {
			for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
			return n
		}
		$4 == name { object = $1; sub(/:.*/, "", object); sub(/^\.\//, "", object)
			own = number($2); print (own <= size && size < own + 64 ? 0 : 1), object }' /tmp/found | sort -u | head -3
}
objects=
for frame in "$@"; do
	while read -r _ object; do
		case " $objects " in
		*" $object "*) ;;
		*) [ "$(wc -w <<< "$objects")" -ge "$MOST" ] || objects="$objects $object" ;;
		esac
	done < <(objects_of "$frame")
done
[ -n "$objects" ] || exit 0
cd /src
# -g changes nothing that runs. What it is compared with below is what crashed.
# shellcheck disable=SC2086 # the words of $objects
make -C /src O=/obj LOCALVERSION="$LOCAL_VERSION" KCFLAGS=-g -s -k -j "$JOBS" $objects < /dev/null >&2 || true
own_size() { # of a function in an object; nothing if there are two
	nm -S --defined-only "$1" | awk -v name="$2" '$4 == name { print $2 }' | sed '$!{N;s/.*\n.*//}'
}
for frame in "$@"; do
	name=${frame%+*}
	while read -r _ object; do
		[ -e "/obj/$object" ] || continue
		said=$(scripts/faddr2line "/obj/$object" "$frame" 2> /dev/null | grep -v '^skipping' || true)
		size=$(own_size "/obj/$object" "$name")
		# The last function of an object has padding in the kernel's table that is not in the object.
		if [ -z "$said" ] && [ -n "$size" ] && [ "$size" = "$(own_size "/kept/$object" "$name")" ] &&
			[ $((16#$size)) -le $((${frame##*/})) ] && [ $((${frame##*/})) -lt $((16#$size + 64)) ]; then
			said=$(scripts/faddr2line "/obj/$object" "${frame%/*}" 2> /dev/null || true)
		fi
		if [ -n "$said" ]; then
			printf '== %s\n%s\n' "$frame" "$said"
			break
		fi
	done < <(objects_of "$frame")
done
