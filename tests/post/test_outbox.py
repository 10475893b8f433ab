# SPDX-License-Identifier: GPL-2.0-or-later
"""Each thing leaves at most once, whatever happens to the process that sends it."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from reviewbot.model.errors import InfraError, UsageError
from reviewbot.post import Item, NotTaken, Outbox, Sender, State, send_again
from reviewbot.post import mail as deliver
from tests.post.delivering import OPEN
from tests.post.servers import HOST, SENDER, GitConfig, Server, listening


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "data" / "outbox.sqlite")


def put(box: Outbox, key: str = "k", **more: Any) -> Item:
    return box.put(key, "mail", run="r", topic="t", about="a", goes_to="g", payload=b"p", **more)


def taken(_item: Item) -> str:
    return ""


def refused(_item: Item) -> str:
    raise NotTaken("no", again=False)


def later(_item: Item) -> str:
    raise NotTaken("not now", again=True)


def lost(_item: Item) -> str:
    raise TimeoutError("who knows")


def test_a_thing_is_there_once_and_sent_once(box: Outbox) -> None:
    sent: list[bytes] = []
    first, second = put(box), put(box)
    assert first == second and box.all() == (first,)

    def carry(item: Item) -> str:
        sent.append(item.payload)
        return ""

    for _ in range(2):
        assert box.send(first.id, carry).state is State.SENT
    assert sent == [b"p"] and put(box).state is State.SENT


def test_what_was_refused_may_come_again(box: Outbox) -> None:
    number = put(box).id
    assert (done := box.send(number, refused)).state is State.REFUSED and done.why == "no"
    again = put(box)
    assert (again.id, again.state, again.why) == (number, State.PENDING, "")


def test_what_is_put_off_waits_longer_each_time_and_is_given_up(box: Outbox) -> None:
    number = put(box).id
    waits = []
    for _ in range(20):
        done = box.send(number, later)
        if done.state is State.REFUSED:
            break
        assert done.not_before and done.changed and box.send(number, taken) == done, "it is not due"
        waits.append(done.not_before - done.changed)
        tries = done.tries
        with box._open() as database:
            database.execute("UPDATE items SET not_before = ''")
    assert waits == sorted(waits) and len(waits) == tries and done.state is State.REFUSED


def test_what_may_have_arrived_is_not_sent_again_unless_somebody_says_so(box: Outbox) -> None:
    number = put(box).id
    with pytest.raises(TimeoutError):
        box.send(number, lost)
    assert box.get(number).state is State.SENDING and box.due() == ()
    assert box.send(number, taken).state is State.SENDING
    assert box.send(box.release(number).id, taken).state is State.SENT


def test_hands_can_hold_release_and_drop(box: Outbox) -> None:
    number = put(box).id
    assert box.hold(number).state is State.HELD
    assert box.send(number, taken).state is State.HELD
    assert box.release(number).state is State.PENDING
    assert box.drop(number).state is State.DROPPED
    assert box.send(number, taken).state is State.DROPPED
    for move in (box.hold, box.release):
        with pytest.raises(UsageError, match="is dropped"):
            move(number)
    other = put(box, "other").id
    box.send(other, taken)
    for move in (box.hold, box.release, box.drop):
        with pytest.raises(UsageError, match="is sent"):
            move(other)
    with pytest.raises(UsageError, match="has no 99"):
        box.hold(99)


def test_a_file_that_is_none_is_an_error_of_one_line(box: Outbox, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "outbox.sqlite").write_text("no database " * 100)
    with pytest.raises(InfraError, match="cannot be used") as caught:
        put(box)
    assert len(str(caught.value).splitlines()) == 1


def killed_at(point: int, work: Callable[[], object]) -> bool:
    """Whether a process of its own that does `work` came to its end before it was killed at the given line, counted
    from 0, of what notes the state or talks to the server.
    """
    child = os.fork()
    if child == 0:
        left = point

        def line(frame: FrameType, event: str, _arg: object) -> Any:
            nonlocal left
            file, name = Path(frame.f_code.co_filename).name, frame.f_code.co_name
            if file not in ("outbox.py", "smtp.py") and not (file == "smtplib.py" and name in ("sendmail", "data")):
                return None
            if event == "line":
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
            return line

        sys.settrace(line)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


def test_a_mail_is_sent_at_most_once_wherever_its_sender_is_killed(
    folder: Path, git_config: GitConfig, tmp_path: Path
) -> None:
    ended, arrived, unsure = False, 0, 0
    with listening(Server()) as server:
        git_config.set(smtpServer=HOST, smtpServerPort=server.port, **{"from": SENDER})
        for point in range(0, 2000, 7):
            server.mails.clear()
            box = Outbox(tmp_path / f"{point}.sqlite")
            sender = Sender(box, OPEN, pauses=())
            ended = killed_at(point, functools.partial(deliver, folder, sender, send=True))
            after = len(server.mails)
            assert after <= 1
            for item in box.due():
                send_again(item, sender)
            states = [item.state for item in box.all()]
            assert len(server.mails) <= 1, f"killed at line {point}: sent {len(server.mails)} times"
            match states:
                case [] | [State.SENDING]:
                    unsure += bool(states)
                    assert bool(states) or not server.mails
                case [State.SENT]:
                    arrived += 1
                    assert len(server.mails) == 1
                case _:
                    pytest.fail(f"killed at line {point}: {states}")
            if ended:
                break
    assert ended and arrived and unsure, "the points before, in and after the sending were all met"
