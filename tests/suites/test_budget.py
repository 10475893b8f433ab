# SPDX-License-Identifier: GPL-2.0-or-later
"""What fits into a budget: never too much, never nothing, and more time is never worse."""

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.suites.budget import Budgeted, Host, Wanted, wall, within
from reviewbot.suites.worth import Judge, Lately

NAMES = [f"generic/{number:03}" for number in range(12)]
WANTED = st.lists(
    st.builds(
        Wanted,
        leg=st.sampled_from(["ext4", "fuse4fs"]),
        test=st.sampled_from(NAMES),
        seconds=st.one_of(st.floats(0, 3), st.floats(0, 200)),
    ),
    max_size=24,
    unique_by=lambda one: (one.leg, one.test),
)
GROUPS = st.dictionaries(
    st.sampled_from(NAMES), st.frozensets(st.sampled_from(["quick", "rw", "attr", "dir", "acl"]), max_size=3)
)
HOSTS = st.builds(
    Host,
    machines=st.integers(1, 4),
    start=st.floats(0, 20),
    smoke=st.fixed_dictionaries({"ext4": st.floats(0, 60), "fuse4fs": st.floats(0, 60)}),
)
BUDGETS = st.floats(0, 2000)


def chosen(wanted: list[Wanted], groups: dict[str, frozenset[str]], budget: float, host: Host) -> Budgeted:
    return within(wanted, Judge(groups, frozenset({"attr"})), budget, host)


def played(found: Budgeted, host: Host) -> float:
    """Seconds that it takes when each machine takes the next test, and a leg's tests wait for its smoke."""
    machines = [0.0] * host.machines
    ready = {}
    for leg, smoke in host.smoke.items():
        ready[leg] = heapq.heappop(machines) + host.start + smoke
        heapq.heappush(machines, ready[leg])
    end = max(machines)
    for one in found.chosen:
        begin = max(heapq.heappop(machines), ready[one.leg])
        heapq.heappush(machines, begin + one.seconds)
        end = max(end, begin + one.seconds)
    return end


@given(WANTED, GROUPS, BUDGETS, HOSTS)
def test_it_never_takes_longer_than_the_budget_and_all_is_accounted_for(
    wanted: list[Wanted], groups: dict[str, frozenset[str]], budget: float, host: Host
) -> None:
    found = chosen(wanted, groups, budget, host)
    assert sorted((*found.chosen, *found.left_out), key=wanted.index) == wanted
    if found.chosen:
        longest = max(one.seconds for one in found.chosen)
        assert wall(sum(one.seconds for one in found.chosen), longest, host) <= budget + 1e-6
        assert played(found, host) <= budget + 1e-6
    assert chosen(wanted, groups, budget, host) == found


@given(WANTED, GROUPS, BUDGETS, HOSTS)
def test_it_is_not_empty_when_anything_fits(
    wanted: list[Wanted], groups: dict[str, frozenset[str]], budget: float, host: Host
) -> None:
    fits = any(wall(max(one.seconds, 0.05), max(one.seconds, 0.05), host) <= budget for one in wanted)
    assert bool(chosen(wanted, groups, budget, host).chosen) == fits


@settings(max_examples=300)
@given(WANTED, GROUPS, BUDGETS, BUDGETS, HOSTS)
def test_a_larger_budget_has_at_least_the_value(
    wanted: list[Wanted], groups: dict[str, frozenset[str]], one: float, other: float, host: Host
) -> None:
    small, large = (chosen(wanted, groups, budget, host) for budget in sorted((one, other)))
    assert small.value <= large.value + 1e-6


HOST = Host(1, 0.0, {"ext4": 0.0})


def names(found: Budgeted) -> set[str]:
    return {one.test for one in found.chosen}


def test_what_the_posting_touches_goes_before_the_rest() -> None:
    wanted = [Wanted("ext4", name, 10.0) for name in NAMES[:4]]
    groups = {name: frozenset({"quick"}) for name in NAMES[:4]} | {NAMES[2]: frozenset({"attr"})}
    assert names(within(wanted, Judge(groups, frozenset({"attr"})), 10.0, HOST)) == {NAMES[2]}


def test_what_failed_lately_goes_before_what_never_did() -> None:
    wanted = [Wanted("ext4", name, 10.0) for name in NAMES[:4]]
    groups = dict.fromkeys(NAMES[:4], frozenset({"quick"}))
    judge = Judge(groups, lately=Lately(failed=frozenset({("ext4", NAMES[3])})))
    assert names(within(wanted, judge, 10.0, HOST)) == {NAMES[3]}


def test_a_group_that_is_not_covered_goes_before_one_more_of_the_same() -> None:
    wanted = [Wanted("ext4", name, 10.0) for name in NAMES[:4]]
    groups = dict.fromkeys(NAMES[:3], frozenset({"rw"})) | {NAMES[3]: frozenset({"dir"})}
    found = names(within(wanted, Judge(groups), 20.0, HOST))
    assert NAMES[3] in found and len(found) == 2


def test_cheap_tests_go_before_dear_ones_of_the_same_worth() -> None:
    wanted = [Wanted("ext4", NAMES[0], 100.0), *(Wanted("ext4", name, 5.0) for name in NAMES[1:5])]
    groups = {name: frozenset({name}) for name in NAMES[:5]}
    assert names(within(wanted, Judge(groups), 100.0, HOST)) == set(NAMES[1:5])
