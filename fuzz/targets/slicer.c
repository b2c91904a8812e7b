/* Frames are the stream, cut every so many bytes: however it came in chunks. */
#include "slicer.h"

#include "../fuzz.h"

enum { MAX_SAMPLES = 1000 /* of a frame */ };

/* Take the views of one push out of the stream, frame by frame. */
static size_t check_views(const vm_slicer_frames *frames, const uint8_t *stream, size_t n_frame) {
    const size_t n_straddling = frames->straddling != NULL;
    LAW(n_straddling == 0 || same_bytes(frames->straddling, stream, n_frame));
    LAW(same_bytes(frames->whole, stream + n_straddling * n_frame, frames->n_whole * n_frame));
    return n_straddling + frames->n_whole;
}

static void check_flush(vm_slicer *slicer, const uint8_t *rest, size_t n_rest, size_t n_silence) {
    static const uint8_t SILENCE[] = {0xD5, 0x11};
    const size_t n_frame = slicer->frame_bytes, n_kept = n_rest - n_rest % n_silence;
    const block last = room_for(n_frame, 0);
    LAW(slicer->n_pending == n_rest);
    LAW(vm_slicer_flush(slicer, last.at, SILENCE, n_silence) == (n_rest > 0 ? n_frame : 0));
    for (size_t i = 0; n_rest > 0 && i < n_frame; i++)
        LAW(last.at[i] == (i < n_kept ? rest[i] : SILENCE[(i - n_kept) % n_silence]));
    LAW(vm_slicer_flush(slicer, last.at, SILENCE, n_silence) == 0);
    free(last.all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    const size_t n_silence = take_byte(&in) % 2 + 1;
    const size_t n_frame = (take_word(&in) % MAX_SAMPLES + 1) * n_silence;
    cuts chunks = take_cuts(&in);
    const uint8_t *stream = in.at;
    size_t done = 0, n_given = 0;

    const block rooms[] = {room_for(2 * n_frame, 0), room_for(2 * n_frame, 0)};
    vm_slicer copies, looks;
    vm_slicer_init(&copies, rooms[0].at, n_frame);
    vm_slicer_init(&looks, rooms[1].at, n_frame);
    while (n_given < in.n) {
        const size_t n = next_cut(&chunks, in.n - n_given);
        const size_t n_frames = vm_slicer_count(&copies, n);
        const block chunk = copy_of(stream + n_given, n, 0), frames = room_for(n_frames * n_frame, 0);
        vm_slicer_frames views;
        n_given += n;
        LAW(n_frames == n_given / n_frame - done / n_frame);
        LAW(vm_slicer_push(&copies, frames.at, chunk.at, n) == n_frames * n_frame);
        LAW(same_bytes(frames.at, stream + done, n_frames * n_frame));
        vm_slicer_views(&looks, &views, chunk.at, n);
        LAW(check_views(&views, stream + done, n_frame) == n_frames);
        done += n_frames * n_frame;
        free(chunk.all), free(frames.all);
    }
    check_flush(&copies, stream + done, in.n - done, n_silence);
    check_flush(&looks, stream + done, in.n - done, n_silence);
    free(rooms[0].all), free(rooms[1].all);
    return 0;
}
