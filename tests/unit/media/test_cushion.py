"""Every utterance starts with a cushion, also one that follows another: then a late message leaves no hole in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import Speaker
from media_laws import MS, MULAW, loud

from vapimedia.media import PlayoutPolicy

ANY, EXACT = PlayoutPolicy(), PlayoutPolicy(exact_frames=True)
BOTH = pytest.mark.parametrize(("policy", "cushion_ms"), [(ANY, 40), (EXACT, 60)], ids=["any size", "exact"])


def second_utterance(policy: PlayoutPolicy, *, ahead_ms: int, word: str = "end") -> Speaker:
    """Return a path that has *ahead_ms* of the last utterance left to play, and has been told where it ends."""
    speaker = Speaker(policy).open()
    speaker.feed(loud(MULAW, 400))
    if word == "end":
        speaker.end()
    speaker.wait(400 - ahead_ms)
    if word == "begin":
        speaker.path.speech_started()
    assert speaker.queued_ms == ahead_ms
    speaker.take()
    return speaker


@BOTH
@pytest.mark.parametrize("word", ["end", "begin"])
def test_an_utterance_that_follows_another_waits_for_its_cushion(
    policy: PlayoutPolicy, cushion_ms: int, word: str
) -> None:
    speaker = second_utterance(policy, ahead_ms=20, word=word)
    audio = speaker.feed(loud(MULAW, 60, seed=1))
    speaker.wait(cushion_ms - 1)
    assert speaker.take() == b""
    speaker.wait(1)
    assert speaker.take() == audio


@BOTH
def test_what_is_still_being_played_is_a_cushion(policy: PlayoutPolicy, cushion_ms: int) -> None:
    speaker = second_utterance(policy, ahead_ms=cushion_ms)
    audio = speaker.feed(loud(MULAW, 60, seed=1))
    assert speaker.take() == audio


@BOTH
def test_what_is_played_and_what_has_come_add_up_to_a_cushion(policy: PlayoutPolicy, cushion_ms: int) -> None:
    speaker = second_utterance(policy, ahead_ms=20)
    audio = speaker.feed(loud(MULAW, cushion_ms - 20, seed=1))
    assert speaker.take() == b""
    audio += speaker.feed(loud(MULAW, 20, seed=2))
    assert speaker.take() == audio


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([ANY, EXACT]),
    st.integers(0, 100),
    st.lists(st.tuples(st.integers(1, 9), st.floats(0, 29.9)), min_size=2, max_size=20),
)
def test_a_late_message_leaves_no_hole_in_the_second_utterance(
    policy: PlayoutPolicy, ahead_ms: int, chunks: list[tuple[int, float]]
) -> None:
    speaker = second_utterance(policy, ahead_ms=ahead_ms)
    begun_ns, n_came_ms = speaker.now_ns, 0.0
    sent = len(speaker.at_ns)
    for i, (n, late_ms) in enumerate(chunks):
        at_ns = max(begun_ns + round((n_came_ms + (late_ms if i else 0)) * MS), speaker.now_ns)
        speaker.wait((at_ns - speaker.now_ns) / MS)
        speaker.feed(loud(MULAW, 10 * n, seed=i))
        n_came_ms += 10 * n
    assert speaker.stats.inserted_silence_ms == 0
    dry_ns = None  # by a provider's own reckoning
    for at_ns, size in list(zip(speaker.at_ns, speaker.sizes, strict=True))[sent:]:
        assert dry_ns is None or at_ns <= dry_ns
        dry_ns = max(at_ns, dry_ns or begun_ns + ahead_ms * MS) + size * MS // 8


def test_word_of_a_beginning_that_comes_late_leaves_no_hole() -> None:
    """Vapi's events and its audio come on one socket, but nothing says in which order."""
    speaker = Speaker(ANY).open()
    speaker.feed(loud(MULAW, 40))
    speaker.wait(40)
    assert speaker.queued_ms == 40
    speaker.path.speech_started()
    speaker.wait(10)
    speaker.feed(loud(MULAW, 40, seed=1))
    assert speaker.path.unsent_ms == 0


def test_inside_an_utterance_nothing_waits_however_little_is_ahead() -> None:
    speaker = Speaker(ANY).open()
    speaker.feed(loud(MULAW, 140))
    speaker.wait(139)
    speaker.take()
    audio = speaker.feed(loud(MULAW, 20, seed=1))
    assert speaker.take() == audio


def test_what_is_left_of_one_utterance_goes_on_into_the_next() -> None:
    """Paced audio of the first is not held up for the cushion of the second."""
    speaker = Speaker(PlayoutPolicy(lead_ms=20)).open()
    audio = speaker.feed(loud(MULAW, 300))
    speaker.end()
    audio += speaker.feed(loud(MULAW, 20, seed=1))
    for _ in range(10):
        speaker.wait(20)
        assert speaker.queued_ms - speaker.path.unsent_ms >= 20
    speaker.wait(1000)
    assert speaker.take() == audio
