"""Audio of our own between the caller's: whole, in its place, and no lasting delay."""

from __future__ import annotations

from media_drivers import START, Line
from media_laws import MS, MULAW, PCM_16K, loud, missing_ms, silent


def test_what_is_inserted_is_heard_whole_and_repaid_from_silence() -> None:
    line = Line().open()
    line.talk(200)
    line.take()
    tone = loud(MULAW, 100, seed=9) + silent(MULAW, 60)
    for _ in range(5):
        line.out += line.path.insert(tone, line.now_ns)
    assert line.take() == tone * 5
    speech = line.talk(1000)
    assert line.take() == speech
    for _ in range(100):
        line.wait(20)
        line.feed(silent(MULAW, 20))
    assert line.stats.repaid_silence_ms >= 5 * 160 - 40
    assert missing_ms(line.stats) == 0
    assert line.stats.messages_in == 160


def test_the_pause_between_two_inserted_keys_outlives_a_stall() -> None:
    line = Line().open()
    line.talk(210, chunk_ms=30)
    line.take()
    line.path.set_stalled(True)
    key = loud(MULAW, 40, seed=9) + silent(MULAW, 40)
    for _ in range(2):
        line.path.insert(key, line.now_ns)
    line.path.set_stalled(False)
    line.out += line.path.due(line.now_ns)
    line.feed(loud(MULAW, 10))
    assert key * 2 in line.take()


def test_what_is_inserted_is_no_chunk_of_the_provider() -> None:
    line = Line().open()
    line.talk(200)
    line.out += line.path.insert(loud(MULAW, 160), line.now_ns)
    for _ in range(20):
        line.wait(20)
        line.feed(silent(MULAW, 20))
    line.wait(line.stats.audio_out_ms - (line.now_ns - START) / MS)
    line.take()
    line.wait(61)
    assert line.take() == silent(MULAW, 60)


def test_what_is_inserted_before_open_or_after_close_is_held_or_counted() -> None:
    line = Line()
    tone = loud(MULAW, 160)
    assert line.path.insert(tone, START) == []
    line.open()
    assert line.take() == tone
    line.talk(100)
    assert line.stats.repaid_silence_ms == 0
    line.path.close()
    assert line.path.insert(tone, line.now_ns) == []
    assert line.stats.dropped_closed_ms == 160
    assert missing_ms(line.stats) == 0


def test_what_is_inserted_amid_a_sample_tears_neither() -> None:
    line = Line(source=PCM_16K, target=PCM_16K).open()
    audio, tone = loud(PCM_16K, 40), loud(PCM_16K, 40, seed=9)
    line.feed(audio[:641])
    line.out += line.path.insert(tone, line.now_ns)
    line.feed(audio[641:])
    line.out += line.path.flush(line.now_ns)
    heard = line.take()
    assert tone in heard
    assert heard.index(tone) % 2 == 0
    assert audio[:640] == heard[:640]
    assert audio[642:] in heard
    assert missing_ms(line.stats) == 0
