# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading C without a compiler."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.review.expressions import Known, Unknown, evaluate, value_of
from reviewbot.review.headers import Definition, definitions

HEADER = """\
/* struct not_this { int x; };
   #define NOR_THIS 1 */
#ifndef GUARD_H
#define GUARD_H
#ifdef __KERNEL__
#include <linux/types.h>
#define KERNEL_ONLY 1
# if X
# else
struct kernel_only { int x; };
# endif
#else
#define USER_TOO 7 // not the kernel
#endif
#define MAGIC 229 /* a
  comment */
#define IOC_ONE  _IOR(MAGIC, \\
	1, struct one)
#define F(x)	((x) + 1)
struct one {
	uint32_t	a;	/* first */
	__u64		b[2];
	union { char c; __u16 d; } u;
};
enum op { OP_A = 3, OP_B, OP_C = OP_A + 5, OP_D, };
typedef struct { int anonymous; } t;
struct packed_one { char a; int b; } __attribute__((packed));
#define IOC_ONE 5
#endif
"""


@pytest.fixture
def known() -> dict[str, Definition]:
    return definitions(HEADER)


def test_definitions_with_their_lines(known: dict[str, Definition]) -> None:
    assert {name: found.line for name, found in known.items()} == {
        "USER_TOO": 13,
        "MAGIC": 15,
        "IOC_ONE": 17,
        "F": 19,
        "struct one": 20,
        "OP_A": 25,
        "OP_B": 25,
        "OP_C": 25,
        "OP_D": 25,
        "struct packed_one": 27,
    }
    assert known["IOC_ONE"].text == "#define IOC_ONE _IOR(MAGIC, 1, struct one)"


def test_members_are_spelled_alike_and_know_their_lines(known: dict[str, Definition]) -> None:
    assert [(m.text, m.line) for m in known["struct one"].members] == [
        ("uint32_t a", 21),
        ("uint64_t b [ 2 ]", 22),
        ("union { char c ; uint16_t d ; } u", 23),
    ]


def test_values_as_a_compiler_gives_them(known: dict[str, Definition]) -> None:
    values = Known(known)
    assert [value_of(name, values) for name in ("OP_A", "OP_B", "OP_C", "OP_D")] == [3, 4, 8, 9]
    with pytest.raises(Unknown):
        value_of("struct one", values)  # an anonymous union is beyond it
    with pytest.raises(Unknown):
        value_of("struct packed_one", values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 << 3 | 2", 10), ("(1ULL << 63)", 1 << 63), ("-1", (1 << 64) - 1), ("(uint32_t)(-1)", 0xFFFFFFFF),
        ("010 + 0x10", 24), ("'f' == 102 && 3 > 2", 1), ("~0U & 0xff", 255), ("7 - 2 - 1", 4), ("sizeof(long [2])", 16),
        ("_IO('f', 16)", 0x6610), ("_IOW('f', 16, __u64)", 0x40086610), ("_IOWR(0xE5, 0, uint32_t)", 0xC004E500),
        ("_IOR(229, 1, char[256])", 0x8100E501), ("_IOR('f', 1, unsigned long *)", 0x80086601),
    ],
)  # fmt: skip
def test_expressions(text: str, value: int) -> None:
    assert evaluate(text.replace("__u64", "uint64_t"), Known({})) == value


def test_structs_have_the_size_that_their_alignment_makes() -> None:
    found = definitions(
        "struct a { char c; u32 n; struct b *p; char tail[3]; char more[]; };\nstruct c { struct a x[2]; short s; };"
    )
    assert [value_of(name, Known(found)) for name in ("struct a", "struct c")] == [24, 56]


@pytest.mark.parametrize(
    "text",
    [
        "unknown",
        "1 +",
        "1 / 0",
        "1 << 99",
        "f(3)",
        "(" * 500 + "1",
        "-" * 500 + "1",
        "1 1",
        "sizeof(struct none)",
        "08",
    ],
)
def test_what_it_does_not_understand_is_unknown(text: str) -> None:
    with pytest.raises(Unknown):
        evaluate(text, Known({}))


def test_definitions_that_need_themselves_or_double_each_time_end() -> None:
    text = "#define A B\n#define B A\nstruct s { struct s x; };\n"
    text += "".join(f"#define X{n} (X{n + 1} + X{n + 1})\n" for n in range(50)) + "#define X50 1\n"
    known = Known(definitions(text))
    for name in ("A", "struct s"):
        with pytest.raises(Unknown):
            value_of(name, known)
    assert value_of("X10", Known(definitions(text))) == 1 << 40


def test_a_file_made_to_be_slow_is_read_in_time() -> None:
    for piece in (
        "struct a { ",
        "enum a { ",
        "/* ",
        "#define A \\\n",
        "'",
        '\\"',
        "#ifdef __KERNEL__\n",
        "union { int x; } ",
    ):
        definitions(piece * 20000)


@given(st.text(alphabet="struct enm{};,=#define_IOW()[] \n\\'\"/*0x19aAb<>-", max_size=300))
def test_any_text_is_read(text: str) -> None:
    found = definitions(text)
    known = Known(found)
    for name in found:
        try:
            value_of(name, known)
        except Unknown:
            continue
