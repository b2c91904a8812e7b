#include "track.h"

#include <stdlib.h>
#include <string.h>

#include "g711.h"
#include "live.h"

enum {
    PIECE = 480, /* samples read at a time */
    MS_PER_S = 1000,
    PAUSE_MS = 60, /* less than this between two live messages is jitter */
    AHEAD_MS = 60, /* silence of a live leg that is further ahead of its clock is left out */
    JUMP_MS = 250, /* a played leg that a mark moves by more than this is heard elsewhere */
    MIN_ROOM = 4096,
    MAX_KEPT = 65536
};

static const uint64_t NS_PER_S = UINT64_C(1000) * 1000 * 1000;

void vm_track_init(vm_track *track, vm_encoding encoding, uint32_t sample_rate, bool is_live,
                   size_t max_bytes) {
    memset(track, 0, sizeof *track);
    track->encoding = encoding;
    track->sample_bytes = encoding == VM_PCM_S16LE ? 2 : 1;
    track->sample_rate = sample_rate;
    track->is_live = is_live;
    track->max_bytes = max_bytes;
}

void vm_track_free(vm_track *track) {
    free(track->bytes);
    track->bytes = NULL;
    track->size = track->first = track->n_bytes = 0;
}

static int64_t samples_of_ms(const vm_track *track, int64_t ms) {
    return ms * track->sample_rate / MS_PER_S;
}

static int64_t end_of(const vm_track *track) {
    return track->done + (int64_t)(track->n_bytes / track->sample_bytes);
}

int64_t vm_track_at(const vm_track *track, int64_t at_ns) {
    if (at_ns <= track->origin_ns) return track->done;
    const uint64_t since_ns = (uint64_t)at_ns - (uint64_t)track->origin_ns; /* of any two moments */
    const uint64_t rate = track->sample_rate;
    const int64_t at = (int64_t)(since_ns / NS_PER_S * rate + since_ns % NS_PER_S * rate / NS_PER_S);
    return at > track->done ? at : track->done;
}

/* Room for `n` bytes behind the audio; NULL when that is too much. */
static uint8_t *make_room(vm_track *track, size_t n) {
    const size_t need = track->n_bytes + n;
    if (n > track->max_bytes || need > track->max_bytes) return NULL;
    if (track->first + need > track->size) {
        if (track->first > 0 && track->n_bytes > 0)
            memmove(track->bytes, track->bytes + track->first, track->n_bytes);
        track->first = 0;
        if (need > track->size) {
            const size_t size =
                2 * need > MIN_ROOM ? 2 * need : MIN_ROOM; /* what was read need not move each time */
            uint8_t *bytes = realloc(track->bytes, size);
            if (bytes == NULL) return NULL;
            track->bytes = bytes;
            track->size = size;
        }
    }
    uint8_t *room = track->bytes + track->first + track->n_bytes;
    track->n_bytes = need;
    return room;
}

static uint8_t silence_of(const vm_track *track) {
    return track->encoding == VM_MULAW ? 0xFF : track->encoding == VM_ALAW ? 0xD5 : 0x00; /* ITU-T G.711 */
}

/* Whole samples of silence, before the half of one that is the last so far, and room for `n` bytes behind
 * them; NULL when that is too much yet. */
static uint8_t *make_room_after(vm_track *track, int64_t silent_samples, size_t n) {
    const bool is_split = track->n_bytes % track->sample_bytes != 0;
    if (silent_samples > (int64_t)track->max_bytes) return NULL;
    const size_t n_silent = silent_samples > 0 ? (size_t)silent_samples * track->sample_bytes : 0;
    uint8_t *room = make_room(track, n_silent + n);
    if (room == NULL || n_silent == 0) return room;
    if (is_split) {
        room[n_silent - 1] = room[-1];
        memset(room - 1, silence_of(track), n_silent);
    } else {
        memset(room, silence_of(track), n_silent);
    }
    return room + n_silent;
}

static void cut(vm_track *track, int64_t at) {
    if (at < end_of(track)) track->n_bytes = (size_t)(at - track->done) * track->sample_bytes;
}

/* How late a live message is against what stands before it, unless those behind it show that it was only held
 * up. */
static int64_t pause_before(const vm_track *track, vm_tap_cursor behind, const vm_tap_record *record) {
    const int64_t end = end_of(track);
    int64_t n = (int64_t)(record->n_bytes / track->sample_bytes);
    int64_t late = vm_track_at(track, record->at_ns) - n - end;
    const int64_t twice = 2 * n, least = samples_of_ms(track, PAUSE_MS);
    const int64_t pause = record->n_lost > 0 ? 0 : twice > least ? twice : least;
    vm_tap_record next;
    const uint8_t *audio;
    while (late > pause && vm_tap_look(&behind, &next, &audio)) {
        n += (int64_t)((next.n_bytes + next.n_lost) / track->sample_bytes);
        const int64_t as_late = vm_track_at(track, next.at_ns) - n - end;
        if (as_late < late) late = as_late;
    }
    return late > pause ? late : 0;
}

static int64_t gap_before(const vm_track *track, const vm_tap_record *record) {
    const int64_t gap = vm_track_at(track, record->at_ns) - end_of(track);
    const bool is_told = record->kind == VM_TAP_BEGINS || record->n_lost > 0;
    return is_told || gap > samples_of_ms(track, JUMP_MS) ? gap : 0;
}

static bool is_needless(const vm_track *track, const vm_tap_record *record, const uint8_t *audio) {
    const int64_t n = (int64_t)(record->n_bytes / track->sample_bytes);
    return end_of(track) + n - vm_track_at(track, record->at_ns) > samples_of_ms(track, AHEAD_MS) &&
           track->n_bytes % track->sample_bytes == 0 && record->n_bytes % track->sample_bytes == 0 &&
           vm_live_is_silent(track->encoding, audio, record->n_bytes);
}

/* Return false for what is too far ahead to be kept yet. */
static bool take(vm_track *track, const vm_tap_record *record, const uint8_t *audio, vm_tap_cursor behind) {
    const int64_t gap = track->is_live ? pause_before(track, behind, record) : gap_before(track, record);
    size_t n = record->n_bytes;
    if (track->is_live && gap == 0 && is_needless(track, record, audio)) return true;
    /* Of a sample that has lost a half the other is of no use. */
    const bool is_torn = record->n_lost % track->sample_bytes != 0;
    const bool was_split = track->n_bytes % track->sample_bytes != 0;
    if (is_torn && !was_split) n--;
    uint8_t *room = make_room_after(track, gap, n);
    if (room == NULL) return false;
    if (is_torn && was_split) {
        memcpy(room - 1, audio, n);
        track->n_bytes--;
    } else {
        memcpy(room, audio + record->n_bytes - n, n);
    }
    return true;
}

void vm_track_fill(vm_track *track, vm_tap *tap, int64_t until_ns) {
    const int64_t until = vm_track_at(track, until_ns);
    vm_tap_cursor cursor = vm_tap_first(tap), taken = cursor;
    vm_tap_record record;
    const uint8_t *audio;
    /* What a live leg says later may tell where it belongs; what a played leg says later may cut it. */
    while (!(track->is_live && end_of(track) >= until) && vm_tap_look(&cursor, &record, &audio)) {
        if (record.kind == VM_TAP_CUT) {
            cut(track, vm_track_at(track, record.at_ns));
        } else if (!take(track, &record, audio, cursor)) {
            break;
        }
        taken = cursor;
    }
    vm_tap_release(tap, &taken);
}

static void decode(const vm_track *track, int16_t *pcm, const uint8_t *src, size_t n) {
    if (track->encoding == VM_MULAW) {
        vm_g711_mulaw_decode(pcm, src, n);
    } else if (track->encoding == VM_ALAW) {
        vm_g711_alaw_decode(pcm, src, n);
    } else {
        memcpy(pcm, src, 2 * n);
    }
}

static void read_mono(vm_track *track, int16_t *pcm, size_t n) {
    const size_t n_there = track->n_bytes / track->sample_bytes;
    const size_t n_audio = n < n_there ? n : n_there;
    if (n_audio > 0) decode(track, pcm, track->bytes + track->first, n_audio);
    memset(pcm + n_audio, 0, (n - n_audio) * sizeof *pcm);
    track->first += n_audio * track->sample_bytes;
    track->n_bytes -= n_audio * track->sample_bytes;
    if (track->n_bytes == 0) {
        track->first = 0;
        if (track->size > MAX_KEPT) vm_track_free(track); /* a burst is over */
    }
    track->done += (int64_t)n;
}

void vm_track_read_stereo(vm_track *left, vm_track *right, int16_t *stereo, size_t n) {
    int16_t pcm[2][PIECE];
    while (n > 0) {
        const size_t n_piece = n < PIECE ? n : PIECE;
        read_mono(left, pcm[0], n_piece);
        read_mono(right, pcm[1], n_piece);
        for (size_t i = 0; i < n_piece; i++) {
            stereo[2 * i] = pcm[0][i];
            stereo[2 * i + 1] = pcm[1][i];
        }
        stereo += 2 * n_piece;
        n -= n_piece;
    }
}
