#include "tap.h"

#include <stdlib.h>
#include <string.h>

#include "shared_word.h"

static vm_tap_page *new_page(void) {
    vm_tap_page *page = malloc(sizeof *page);
    if (page == NULL) return NULL;
    page->next = NULL;
    page->n_bytes = 0;
    return page;
}

bool vm_tap_init(vm_tap *tap, size_t max_bytes) {
    memset(tap, 0, sizeof *tap);
    tap->max_bytes = max_bytes;
    tap->head = tap->tail = new_page();
    return tap->head != NULL;
}

void vm_tap_free(vm_tap *tap) {
    vm_tap_page *page = tap->head;
    while (page != NULL) {
        vm_tap_page *next = page->next;
        free(page);
        page = next;
    }
    free(tap->spare);
    memset(tap, 0, sizeof *tap);
}

/* What it counts for against the bound: the least of messages takes the room of a record. */
static size_t weight(size_t n) {
    return n > sizeof(vm_tap_record) ? n : sizeof(vm_tap_record);
}

static void lose(vm_tap *tap, size_t n) {
    tap->n_missing += n;
    vm_word_write(&tap->lost, tap->lost + n);
}

/* Room behind what the last page holds, or a new one. */
static bool make_room(vm_tap *tap, size_t n) {
    if (VM_TAP_PAGE - tap->tail->n_bytes >= n) return true;
    vm_tap_page *page = vm_pointer_swap(&tap->spare, NULL);
    if (page == NULL) page = new_page();
    if (page == NULL) return false;
    page->next = NULL;
    page->n_bytes = 0;
    vm_tap_page *last = tap->tail;
    tap->tail = page;
    (void)vm_pointer_swap(&last->next, page);
    return true;
}

static bool append(vm_tap *tap, vm_tap_kind kind, const uint8_t *audio, size_t n, int64_t at_ns) {
    const uint64_t n_lost = kind == VM_TAP_CUT ? 0 : tap->n_missing; /* audio tells what it lacks */
    const vm_tap_record record = {at_ns, n_lost, (uint32_t)n, (uint32_t)kind};
    if (!make_room(tap, sizeof record + n)) return false;
    vm_tap_page *page = tap->tail;
    const size_t at = (size_t)page->n_bytes;
    memcpy(page->bytes + at, &record, sizeof record);
    if (n > 0) memcpy(page->bytes + at + sizeof record, audio, n);
    tap->n_missing -= n_lost;
    tap->pushed += weight(n);
    tap->ends_cut = kind == VM_TAP_CUT;
    tap->cut_ns = at_ns;
    vm_word_write(&page->n_bytes, at + sizeof record + n);
    return true;
}

void vm_tap_push(vm_tap *tap, vm_tap_kind kind, const uint8_t *audio, size_t n, int64_t at_ns) {
    const size_t most = VM_TAP_PAGE - sizeof(vm_tap_record);
    if (n == 0) {
        /* One cut after another changes nothing, and a tap that nobody reads must not grow by them. */
        const bool is_told = tap->ends_cut && at_ns >= tap->cut_ns;
        if (kind == VM_TAP_CUT && !is_told) (void)append(tap, kind, audio, 0, at_ns);
        return;
    }
    /* All or nothing: the next message tells where it stands, the rest of this one could not. */
    bool fits = tap->pushed - vm_word_read(&tap->taken) + n <= tap->max_bytes;
    while (n > 0) {
        const size_t n_piece = n < most ? n : most;
        fits = fits && append(tap, kind, audio, n_piece, at_ns);
        if (!fits) lose(tap, n_piece);
        kind = VM_TAP_GOES_ON;
        audio += n_piece;
        n -= n_piece;
    }
}

vm_tap_cursor vm_tap_first(const vm_tap *tap) {
    const vm_tap_cursor cursor = {tap->head, tap->head_at, 0};
    return cursor;
}

bool vm_tap_look(vm_tap_cursor *cursor, vm_tap_record *record, const uint8_t **audio) {
    while (cursor->at == vm_word_read(&cursor->page->n_bytes)) {
        vm_tap_page *next = vm_pointer_read(&cursor->page->next);
        if (next == NULL) return false;
        /* What was put there before the next page was begun is to be read first. */
        if (cursor->at != vm_word_read(&cursor->page->n_bytes)) break;
        cursor->page = next;
        cursor->at = 0;
    }
    memcpy(record, cursor->page->bytes + cursor->at, sizeof *record);
    *audio = cursor->page->bytes + cursor->at + sizeof *record;
    cursor->at += sizeof *record + record->n_bytes;
    cursor->weight += weight(record->n_bytes);
    return true;
}

void vm_tap_release(vm_tap *tap, const vm_tap_cursor *up_to) {
    while (tap->head != up_to->page) {
        vm_tap_page *page = tap->head;
        tap->head = page->next;
        free(vm_pointer_swap(&tap->spare, page));
    }
    tap->head_at = up_to->at;
    vm_word_write(&tap->taken, tap->taken + up_to->weight);
}

uint64_t vm_tap_lost(const vm_tap *tap) {
    return vm_word_read(&tap->lost);
}
