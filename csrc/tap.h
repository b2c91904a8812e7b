/* Audio on its way from the thread that carries a call to one that writes it down.
 *
 *   push -> [record audio][record audio] .. -> look, release        one thread at each end, no lock
 *            page           page
 *
 * Neither side ever waits. What does not fit is lost and counted, and the next record tells how much is
 * missing before it. Pages come as they are needed and one is kept: a tap that is read in time takes two of
 * them. */
#ifndef VM_TAP_H
#define VM_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VM_TAP_PAGE = 8152 }; /* with its links and malloc's own, 8 KiB */

typedef enum vm_tap_kind {
    VM_TAP_GOES_ON = 0, /* audio that follows what came before it, as far as is known */
    VM_TAP_BEGINS = 1,  /* audio before which there was none */
    VM_TAP_CUT = 2      /* what stands at `at_ns` and later was never heard */
} vm_tap_kind;

typedef struct vm_tap_record {
    int64_t at_ns;   /* the caller's clock; what it means is between the two sides */
    uint64_t n_lost; /* bytes that are missing before this */
    uint32_t n_bytes;
    uint32_t kind;
} vm_tap_record;

typedef struct vm_tap_page {
    void *volatile next;
    volatile uint64_t n_bytes;
    uint8_t bytes[VM_TAP_PAGE];
} vm_tap_page;

typedef struct vm_tap {
    vm_tap_page *tail;  /* the pusher's */
    uint64_t pushed;    /* what its records count for */
    uint64_t n_missing; /* lost since the last audio */
    int64_t cut_ns;
    bool ends_cut; /* the last record is a cut, at `cut_ns` */
    size_t max_bytes;
    vm_tap_page *head; /* the reader's */
    size_t head_at;
    void *volatile spare;    /* a page that either may take */
    volatile uint64_t taken; /* of `pushed` */
    volatile uint64_t lost;  /* bytes in all */
} vm_tap;

/* How far a reader has looked. */
typedef struct vm_tap_cursor {
    vm_tap_page *page;
    size_t at;
    uint64_t weight; /* of what it has passed */
} vm_tap_cursor;

/* `max_bytes` of audio may wait at most, of tiny messages less: they take the room of their records. False
 * when memory runs out. */
bool vm_tap_init(vm_tap *tap, size_t max_bytes);
void vm_tap_free(vm_tap *tap);

/* The pusher: audio, or of none a cut, which is taken even when the tap is full. */
void vm_tap_push(vm_tap *tap, vm_tap_kind kind, const uint8_t *audio, size_t n, int64_t at_ns);

/* The reader. A look returns false when there is nothing more; its audio is valid until it is released. */
vm_tap_cursor vm_tap_first(const vm_tap *tap);
bool vm_tap_look(vm_tap_cursor *cursor, vm_tap_record *record, const uint8_t **audio);
void vm_tap_release(vm_tap *tap, const vm_tap_cursor *up_to);

/* Either side. */
uint64_t vm_tap_lost(const vm_tap *tap);

#endif
