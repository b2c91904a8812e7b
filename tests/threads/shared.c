/* What several threads share of the kernels, used by all of them at the same time: coefficients, pages, the
 * table of variants, and a tap with a thread at each end. ThreadSanitizer tells of what is read or written
 * without order; what comes out must be what one thread alone gets. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "fir.h"
#include "fir_table.h"
#include "queue.h"
#include "tap.h"

#define LAW(holds)                                                                                           \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            fprintf(stderr, "%s:%d: law broken: %s\n", __FILE__, __LINE__, #holds);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

enum { N_THREADS = 6, N_ROUNDS = 60, N_IN = 320, N_OUT = 6 * N_IN, N_PAIRS = 12, N_MESSAGES = 20000 };

/* More than stay designed when nobody uses them: some are freed and designed anew all the time. */
static const uint32_t PAIRS[N_PAIRS][2] = {{8000, 16000},  {16000, 8000},  {8000, 24000},  {24000, 8000},
                                           {16000, 24000}, {24000, 16000}, {8000, 48000},  {48000, 8000},
                                           {16000, 48000}, {48000, 16000}, {12000, 16000}, {16000, 12000}};

static int16_t input[N_IN], expected[N_PAIRS][N_OUT];

static size_t resample(size_t pair, int16_t *out) {
    vm_fir *fir = vm_fir_new(PAIRS[pair][0], PAIRS[pair][1], VM_FIR_TELEPHONE);
    LAW(fir != NULL);
    size_t n = vm_fir_push(fir, out, input, N_IN / 2);
    n += vm_fir_push(fir, out + n, input + N_IN / 2, N_IN / 2);
    LAW(n <= N_OUT);
    vm_fir_free(fir);
    return n;
}

static void *use_tables(void *argument) {
    const size_t first = *(const size_t *)argument;
    for (size_t round = 0; round < N_ROUNDS; round++) {
        const size_t pair = (first + round * (round % 3 + 1)) % N_PAIRS;
        int16_t out[N_OUT];
        const size_t n = resample(pair, out);
        LAW(memcmp(out, expected[pair], n * sizeof *out) == 0);
        LAW(vm_dispatch_name() != NULL && vm_fir_table_designed() > 0);
    }
    return NULL;
}

static vm_queue_pool pool;

static void *use_pool(void *argument) {
    const uint8_t mine = (uint8_t)*(const size_t *)argument;
    uint8_t bytes[3 * VM_QUEUE_PAGE];
    vm_queue queue;
    vm_queue_init(&queue, &pool);
    for (size_t round = 0; round < 40 * N_ROUNDS; round++) {
        const size_t n = round * 97 % sizeof bytes + 1;
        int64_t received_ns = 0;
        memset(bytes, mine, n);
        LAW(vm_queue_push(&queue, bytes, n, 1));
        memset(bytes, 0, n);
        LAW(vm_queue_pop(&queue, bytes, n, &received_ns) == n);
        for (size_t i = 0; i < n; i++)
            LAW(bytes[i] == mine);
    }
    vm_queue_free(&queue);
    return NULL;
}

static vm_tap tap;

/* Message k is all of k, and k % 300 + 1 bytes of it. */
static void *push_tap(void *argument) {
    uint8_t audio[300];
    (void)argument;
    for (size_t k = 0; k < N_MESSAGES; k++) {
        memset(audio, (int)(k % 251), sizeof audio);
        vm_tap_push(&tap, VM_TAP_GOES_ON, audio, k % 300 + 1, (int64_t)k);
    }
    vm_tap_push(&tap, VM_TAP_CUT, NULL, 0, N_MESSAGES);
    return NULL;
}

static void read_tap(void) {
    uint64_t n_read = 0, n_lost = 0, n_pushed = 0;
    for (size_t k = 0; k < N_MESSAGES; k++)
        n_pushed += k % 300 + 1;
    for (bool ended = false; !ended;) {
        vm_tap_cursor cursor = vm_tap_first(&tap);
        vm_tap_record record;
        const uint8_t *audio;
        while (vm_tap_look(&cursor, &record, &audio)) {
            ended = record.kind == VM_TAP_CUT;
            if (ended) break;
            n_lost += record.n_lost;
            n_read += record.n_bytes;
            LAW(record.n_bytes == (uint64_t)record.at_ns % 300 + 1);
            for (uint32_t i = 0; i < record.n_bytes; i++)
                LAW(audio[i] == (uint8_t)(record.at_ns % 251));
        }
        vm_tap_release(&tap, &cursor);
    }
    LAW(n_read + vm_tap_lost(&tap) == n_pushed && n_lost <= vm_tap_lost(&tap));
}

static void run(void *(*work)(void *)) {
    pthread_t threads[N_THREADS];
    size_t names[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++) {
        names[i] = i;
        LAW(pthread_create(&threads[i], NULL, work, &names[i]) == 0);
    }
    for (size_t i = 0; i < N_THREADS; i++)
        LAW(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
    pthread_t pusher;
    LAW(vm_dispatch_init(NULL) == 0);
    for (size_t i = 0; i < N_IN; i++)
        input[i] = (int16_t)(i * 7919);
    for (size_t pair = 0; pair < N_PAIRS; pair++)
        (void)resample(pair, expected[pair]);
    run(use_tables);
    run(use_pool);
    LAW(vm_tap_init(&tap, 4 * VM_TAP_PAGE));
    LAW(pthread_create(&pusher, NULL, push_tap, NULL) == 0);
    read_tap();
    LAW(pthread_join(pusher, NULL) == 0);
    vm_tap_free(&tap);
    for (vm_page *page = pool.first, *next; page != NULL; page = next) {
        next = page->next;
        free(page);
    }
    printf("%s: %d threads, no law broken\n", vm_dispatch_name(), N_THREADS);
    return 0;
}
