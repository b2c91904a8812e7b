# cython: language_level=3
"""Private, for tests: whether the frame path asks Python's allocators for anything, what its records cost, and a fault
to be caught.

While ``count_allocations`` runs, and only then, it stands in for Python's allocators, of the whole process. Nothing
else of vapimedia imports this module. It ships because the laws are tested on the wheel that users get, not on
another build; it is no part of the API and may change or go at any time.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t
from libc.time cimport timespec

from vapimedia.media.path cimport (
    HOP_CONVERT, HOP_QUEUE, HOP_SEND, NOT_TAKEN, NS_PER_S, MediaPath, vm_level_add)
from vapimedia.media.playout cimport PlayoutPath

cdef extern from "Python.h":
    ctypedef enum PyMemAllocatorDomain:
        PYMEM_DOMAIN_RAW
        PYMEM_DOMAIN_MEM
        PYMEM_DOMAIN_OBJ
    ctypedef struct PyMemAllocatorEx:
        void* ctx
        void* (*malloc)(void* ctx, size_t size) noexcept nogil
        void* (*calloc)(void* ctx, size_t nelem, size_t elsize) noexcept nogil
        void* (*realloc)(void* ctx, void* ptr, size_t new_size) noexcept nogil
        void (*free)(void* ctx, void* ptr) noexcept nogil
    void PyMem_GetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx* allocator) noexcept
    void PyMem_SetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx* allocator) noexcept

cdef extern from "<time.h>" nogil:
    enum:
        TIME_UTC
    int timespec_get(timespec* t, int base)

__all__ = ["count_allocations", "forget_frames", "read_clock", "record_frames", "spare_pages"]

cdef struct Message:
    const char* text
    size_t n

cdef Py_ssize_t n_calls


cdef void* _malloc(void* ctx, size_t size) noexcept nogil:
    global n_calls
    n_calls += 1
    return (<PyMemAllocatorEx*>ctx).malloc((<PyMemAllocatorEx*>ctx).ctx, size)


cdef void* _calloc(void* ctx, size_t nelem, size_t elsize) noexcept nogil:
    global n_calls
    n_calls += 1
    return (<PyMemAllocatorEx*>ctx).calloc((<PyMemAllocatorEx*>ctx).ctx, nelem, elsize)


cdef void* _realloc(void* ctx, void* ptr, size_t new_size) noexcept nogil:
    global n_calls
    n_calls += 1
    return (<PyMemAllocatorEx*>ctx).realloc((<PyMemAllocatorEx*>ctx).ctx, ptr, new_size)


cdef void _free(void* ctx, void* ptr) noexcept nogil:
    global n_calls
    n_calls += 1
    (<PyMemAllocatorEx*>ctx).free((<PyMemAllocatorEx*>ctx).ctx, ptr)


def count_allocations(MediaPath path, list messages not None, bint is_text, int64_t now_ns, int64_t step_ns):
    """Pass *messages* through *path* as the pump does, *step_ns* apart.

    Return how often Python's allocators were called meanwhile, how many messages were taken, and how many bytes
    came out. No other thread may run Python code. With no path, one object is made and dropped: the counter works.
    """
    cdef PyMemAllocatorDomain[3] domains = [PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ]
    cdef PyMemAllocatorEx[3] real
    cdef PyMemAllocatorEx counting
    cdef Py_ssize_t i, n_messages = len(messages), n_taken = 0
    cdef size_t n_out = 0, n = 0
    cdef Message* raw = <Message*>PyMem_Malloc(max(1, n_messages) * sizeof(Message))
    global n_calls
    if raw == NULL:
        raise MemoryError
    for i in range(n_messages):
        raw[i].text = <const char*><bytes?>messages[i]
        raw[i].n = <size_t>len(messages[i])
    for i in range(3):
        PyMem_GetAllocator(domains[i], &real[i])
        counting = PyMemAllocatorEx(&real[i], _malloc, _calloc, _realloc, _free)
        PyMem_SetAllocator(domains[i], &counting)
    n_calls = 0
    if path is None:
        bytes(bytearray(100_000))
    else:
        for i in range(n_messages):
            if path.receive(raw[i].text, raw[i].n, is_text, now_ns) != NOT_TAKEN:
                n_taken += 1
            while path.next_message(&n, now_ns) != NULL:
                n_out += n
            now_ns += step_ns
    i = n_calls
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &real[0])
    PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &real[1])
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &real[2])
    PyMem_Free(raw)
    return i, n_taken, n_out


cdef int64_t _clock_ns() noexcept:
    # As fast as the monotonic one, and known to C wherever media is built.
    cdef timespec t
    timespec_get(&t, TIME_UTC)
    return <int64_t>t.tv_sec * NS_PER_S + t.tv_nsec


def read_clock(int n_times):
    """For benchmarks only: read the clock so often."""
    cdef int64_t latest_ns = 0
    for _ in range(n_times):
        latest_ns = max(latest_ns, _clock_ns())
    return latest_ns


def record_frames(MediaPath path not None, bytes frame not None, int n_frames):
    """For benchmarks only: record all that is recorded of *n_frames* messages, and do nothing else with them."""
    cdef const uint8_t* audio = <const uint8_t*><const char*>frame
    cdef size_t n = <size_t>len(frame)
    cdef int64_t received_ns = _clock_ns()
    cdef int i
    for i in range(n_frames):
        path._counters.messages_in += 1
        vm_level_add(&path._level, path._encoding, audio, n, received_ns + i * <int64_t>20000000)
        path.note(HOP_QUEUE, received_ns, received_ns)
        if path.times_conversion():
            path.note(HOP_CONVERT, received_ns, _clock_ns())
        path.note(HOP_SEND, received_ns, _clock_ns())


def forget_frames(PlayoutPath path not None):
    """For tests only: let *path* send any size, as if its messages need not be exact frames; only its check knows."""
    path._playout.frame_ns = 0
    path._size_messages(5)


def spare_pages(MediaPath path not None):
    """Return how many pages wait for a queue to need them, in the pool that *path* shares with all others."""
    return path._queue.pool.n
