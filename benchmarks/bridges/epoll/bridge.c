/* A bridge as a C programmer writes it by hand: the yardstick of the others, and the floor below it.
 *
 *     bridge --port 8080 --vapi-url http://127.0.0.1:9001 [--relay]
 *
 * One thread, one level-triggered epoll, one recv a readiness, one send a message, TCP_NODELAY, buffers of
 * fixed size in the connection. Twilio's mu-law at 8 kHz becomes pcm_s16le at 16 kHz and back by the kernels
 * of this package. With --relay it only receives and sends: every media message is answered by a prebuilt one
 * of the other leg's size. What it leaves out: fragments, pacing, TLS, time-outs, statistics. */
#define _GNU_SOURCE /* accept4, memmem */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base64.h"
#include "convert.h"
#include "dispatch.h"
#include "handshake.h"
#include "websocket.h"

enum {
    INPUT = 8192,          /* a message is smaller, or the call ends */
    OUTPUT = 16384,        /* what the kernel does not take; then whole messages are dropped */
    BODY = 4 * INPUT + 64, /* base64 to bytes to 16-bit samples at twice the rate */
    EVENTS = 256,
    RELAY_MEDIA = 256 /* what is longer is media, without a look inside */
};

typedef enum leg_state { HANDSHAKE, OPEN, CLOSING, CLOSED } leg_state;

typedef struct bridge_leg {
    int fd;
    bool is_phone;
    leg_state state;
    struct bridge_call *call;
    size_t n_in, n_out;
    uint8_t in[INPUT + 1]; /* room for a NUL after the HTTP head */
    uint8_t out[OUTPUT];
} bridge_leg;

typedef struct bridge_call {
    bridge_leg phone, vapi;
    vm_converter *uplink, *downlink;
    size_t n_prefix; /* 0 before the stream has started */
    char prefix[192];
    size_t n_up, n_down; /* with --relay only */
    uint8_t up[WS_HEADROOM + 640], down[WS_HEADROOM + 512];
    struct bridge_call *next_dead;
} bridge_call;

static int poller;
static const char *vapi_url;
static bool is_relay;
static bridge_call *dead; /* freed after the batch: later events of it may name them */
static uint64_t random_state;
static uint8_t message[WS_HEADROOM + BODY];
static uint8_t *const body = message + WS_HEADROOM;

static void end_call(bridge_call *call);

/* --- sending ------------------------------------------------------------------------------------------- */

static void watch(bridge_leg *leg, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = leg};
    epoll_ctl(poller, operation, leg->fd, &event);
}

static void send_bytes(bridge_leg *leg, const uint8_t *bytes, size_t n) {
    size_t sent = 0;
    if (leg->n_out == 0) {
        ssize_t got = send(leg->fd, bytes, n, MSG_NOSIGNAL);
        if (got == (ssize_t)n) return;
        if (got < 0 && errno != EAGAIN) return; /* the next recv says so too */
        sent = got < 0 ? 0 : (size_t)got;
    }
    if (n - sent > OUTPUT - leg->n_out) return;
    if (leg->n_out == 0) watch(leg, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    memcpy(leg->out + leg->n_out, bytes + sent, n - sent);
    leg->n_out += n - sent;
}

static void send_rest(bridge_leg *leg) {
    ssize_t got = send(leg->fd, leg->out, leg->n_out, MSG_NOSIGNAL);
    if (got <= 0) return;
    leg->n_out -= (size_t)got;
    memmove(leg->out, leg->out + got, leg->n_out);
    if (leg->n_out > 0) return;
    watch(leg, EPOLL_CTL_MOD, EPOLLIN);
    if (leg->state == CLOSING) shutdown(leg->fd, SHUT_WR);
}

/* Send the first `n` bytes of `body`; towards Vapi we are the client, which masks. */
static void send_body(bridge_leg *leg, unsigned opcode, size_t n) {
    uint32_t mask = leg->is_phone ? 0 : ws_random(&random_state);
    const uint8_t *bytes = ws_wrap(body, n, opcode, leg->is_phone ? NULL : &mask);
    send_bytes(leg, bytes, (size_t)(body + n - bytes));
}

/* --- media --------------------------------------------------------------------------------------------- */

/* Write audio as Twilio's media message into `body`; return its length. */
static size_t write_media(const bridge_call *call, const uint8_t *mulaw, size_t n) {
    memcpy(body, call->prefix, call->n_prefix);
    size_t end = call->n_prefix + vm_base64_encode((char *)body + call->n_prefix, mulaw, n);
    memcpy(body + end, "\"}}", 3);
    return end + 3;
}

static void send_downlink(bridge_call *call, const uint8_t *pcm, size_t n) {
    uint8_t mulaw[INPUT];
    size_t n_mulaw = vm_converter_push(call->downlink, mulaw, pcm, n);
    if (n_mulaw > 0) send_body(&call->phone, WS_TEXT, write_media(call, mulaw, n_mulaw));
}

static void send_uplink(bridge_call *call, const char *payload, size_t n) {
    const char *quote = memchr(payload, '"', n);
    uint8_t mulaw[INPUT];
    ptrdiff_t n_mulaw = quote == NULL ? -1 : vm_base64_decode(mulaw, payload, (size_t)(quote - payload));
    if (n_mulaw <= 0) return;
    send_body(&call->vapi, WS_BINARY, vm_converter_push(call->uplink, body, mulaw, (size_t)n_mulaw));
}

/* Build once what every media message of one leg is answered by on the other. */
static void prebuild(bridge_call *call) {
    uint8_t sound[160]; /* whoever counts may take silence for nothing */
    uint32_t mask = ws_random(&random_state);
    memset(sound, 0x90, sizeof sound);
    memset(body, 0x20, 640);
    const uint8_t *bytes = ws_wrap(body, 640, WS_BINARY, &mask);
    memcpy(call->up, bytes, call->n_up = (size_t)(body + 640 - bytes));
    size_t n = write_media(call, sound, sizeof sound);
    bytes = ws_wrap(body, n, WS_TEXT, NULL);
    memcpy(call->down, bytes, call->n_down = (size_t)(body + n - bytes));
}

/* --- one call ------------------------------------------------------------------------------------------ */

/* Return what follows `what` in the text, or NULL. */
static const char *after(const char *text, size_t n, const char *what) {
    const char *found = memmem(text, n, what, strlen(what));
    return found == NULL ? NULL : found + strlen(what);
}

/* Remember the stream's id and let Vapi's leg speak. */
static void start(bridge_call *call, const char *json, size_t n) {
    const char *id = after(json, n, "\"streamSid\":\"");
    const char *quote = id == NULL ? NULL : memchr(id, '"', n - (size_t)(id - json));
    if (quote == NULL || quote - id > 64 || call->n_prefix > 0) return;
    call->n_prefix = (size_t)snprintf(call->prefix, sizeof call->prefix,
                                      "{\"event\":\"media\",\"streamSid\":\"%.*s\",\"media\":{\"payload\":\"",
                                      (int)(quote - id), id);
    if (is_relay) prebuild(call);
    watch(&call->vapi, EPOLL_CTL_ADD, EPOLLIN);
}

static void take_phone_text(bridge_call *call, const char *json, size_t n) {
    const char *payload = after(json, n, "\"payload\":\"");
    if (payload != NULL)
        send_uplink(call, payload, n - (size_t)(payload - json));
    else if (after(json, n, "\"event\":\"start\""))
        start(call, json, n);
    else if (after(json, n, "\"event\":\"stop\""))
        end_call(call);
}

static void take_vapi_text(bridge_call *call, const char *json, size_t n) {
    if (!after(json, n, "\"user-interrupted\"")) return;
    const char *id = after(call->prefix, call->n_prefix, "\"streamSid\":\"");
    int n_clear = snprintf((char *)body, BODY, "{\"event\":\"clear\",\"streamSid\":\"%.*s\"}",
                           (int)strcspn(id, "\""), id);
    send_body(&call->phone, WS_TEXT, (size_t)n_clear);
}

static void relay(const bridge_leg *from) {
    bridge_call *call = from->call;
    if (from->is_phone)
        send_bytes(&call->vapi, call->up, call->n_up);
    else
        send_bytes(&call->phone, call->down, call->n_down);
}

static void take_frame(bridge_leg *leg, const ws_frame *frame) {
    bridge_call *call = leg->call;
    if (is_relay && frame->n >= RELAY_MEDIA && call->n_prefix > 0) {
        relay(leg);
        return;
    }
    if (frame->is_masked) ws_mask(frame->payload, frame->n, frame->payload - 4);
    if (frame->opcode == WS_BINARY && !leg->is_phone) {
        send_downlink(call, frame->payload, frame->n);
    } else if (frame->opcode == WS_TEXT) {
        if (leg->is_phone)
            take_phone_text(call, (const char *)frame->payload, frame->n);
        else
            take_vapi_text(call, (const char *)frame->payload, frame->n);
    } else if (frame->opcode == WS_PING) {
        memcpy(body, frame->payload, frame->n);
        send_body(leg, WS_PONG, frame->n);
    } else if (frame->opcode != WS_PONG) { /* the close, or what nobody sends here */
        end_call(call);
    }
}

/* Handle the whole frames of what was received; return the bytes they took. */
static size_t take_frames(bridge_leg *leg) {
    size_t used = 0;
    while (leg->state == OPEN) {
        ws_frame frame;
        ptrdiff_t n = ws_find(&frame, leg->in + used, leg->n_in - used, INPUT);
        if (n == 0) return used;
        used += n > 0 ? (size_t)n : 0;
        if (n < 0 || frame.is_masked != leg->is_phone)
            end_call(leg->call);
        else
            take_frame(leg, &frame);
    }
    return leg->n_in;
}

/* Answer the phone's upgrade and open Vapi's leg; return the bytes taken. */
static size_t take_head(bridge_leg *leg) {
    bridge_call *call = leg->call;
    const uint8_t *end = memmem(leg->in, leg->n_in, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    leg->in[leg->n_in] = 0;
    char answer[HANDSHAKE_ANSWER], url[HANDSHAKE_URL];
    size_t n = handshake_answer(answer, (char *)leg->in);
    if (n > 0) {
        send_bytes(leg, (uint8_t *)answer, n);
        leg->state = OPEN;
        if (handshake_create_call(url, vapi_url) == 0)
            call->vapi.fd = handshake_connect(url, call->vapi.in, INPUT, &call->vapi.n_in);
    }
    if (call->vapi.fd < 0) {
        end_call(call);
        return leg->n_in;
    }
    fcntl(call->vapi.fd, F_SETFL, O_NONBLOCK);
    call->vapi.state = OPEN;
    return (size_t)(end + 4 - leg->in);
}

static void close_leg(bridge_leg *leg) {
    if (leg->fd >= 0) close(leg->fd);
    leg->state = CLOSED;
}

/* Say goodbye on both legs; a leg is gone when its peer has closed too. */
static void end_call(bridge_call *call) {
    bridge_leg *legs[] = {&call->phone, &call->vapi};
    for (size_t i = 0; i < 2; i++) {
        bridge_leg *leg = legs[i];
        if (leg->state == OPEN) {
            memcpy(body, "\x03\xe8", 2); /* 1000 */
            send_body(leg, WS_CLOSE, 2);
            leg->state = CLOSING;
            if (leg->n_out == 0) shutdown(leg->fd, SHUT_WR);
        }
        bool is_watched = leg->is_phone || call->n_prefix > 0;
        if (leg->state == HANDSHAKE || (leg->state == CLOSING && !is_watched)) close_leg(leg);
    }
}

/* Drop what was used; put a call without legs on the list of the dead, once. */
static void tidy(bridge_leg *leg, size_t used) {
    bridge_call *call = leg->call;
    leg->n_in -= used;
    if (leg->n_in > 0 && used > 0) memmove(leg->in, leg->in + used, leg->n_in);
    if (call->phone.state != CLOSED || call->vapi.state != CLOSED) return;
    for (const bridge_call *other = dead; other != NULL; other = other->next_dead)
        if (other == call) return;
    call->next_dead = dead;
    dead = call;
}

static void receive(bridge_leg *leg) {
    ssize_t n = recv(leg->fd, leg->in + leg->n_in, INPUT - leg->n_in, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    leg->n_in += n > 0 ? (size_t)n : 0;
    if (n <= 0) {
        end_call(leg->call);
        if (leg->state != CLOSED) close_leg(leg);
    } else if (leg->state == HANDSHAKE) {
        tidy(leg, take_head(leg));
    }
    size_t used = leg->state == HANDSHAKE ? 0 : take_frames(leg);
    if (leg->n_in - used == INPUT) end_call(leg->call); /* a head without an end */
    tidy(leg, used);
}

/* --- the loop ------------------------------------------------------------------------------------------ */

static void open_leg(bridge_leg *leg, int fd, bool is_phone, bridge_call *call) {
    leg->fd = fd;
    leg->is_phone = is_phone;
    leg->state = HANDSHAKE;
    leg->call = call;
    leg->n_in = leg->n_out = 0;
}

static void accept_call(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd < 0) return;
    bridge_call *call =
        malloc(sizeof *call); /* not cleared: what is never used of a buffer takes no memory */
    vm_converter *up = vm_converter_new(VM_MULAW, 8000, VM_PCM_S16LE, 16000, VM_FIR_BALANCED);
    vm_converter *down = vm_converter_new(VM_PCM_S16LE, 16000, VM_MULAW, 8000, VM_FIR_BALANCED);
    if (call == NULL || up == NULL || down == NULL) {
        fputs("bridge: out of memory\n", stderr);
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    open_leg(&call->phone, fd, true, call);
    open_leg(&call->vapi, -1, false, call);
    call->uplink = up;
    call->downlink = down;
    call->n_prefix = 0;
    watch(&call->phone, EPOLL_CTL_ADD, EPOLLIN);
}

static void free_dead(void) {
    while (dead != NULL) {
        bridge_call *call = dead;
        dead = call->next_dead;
        vm_converter_free(call->uplink);
        vm_converter_free(call->downlink);
        free(call);
    }
}

static int listen_on(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        perror("bridge: cannot listen");
        exit(1);
    }
    return fd;
}

static _Noreturn void run(int listener) {
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN, .data.ptr = NULL}};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, events);
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            bridge_leg *leg = events[i].data.ptr;
            if (leg == NULL) {
                accept_call(listener);
                continue;
            }
            if (leg->state != CLOSED && events[i].events & EPOLLOUT) send_rest(leg);
            if (leg->state != CLOSED && events[i].events & ~(uint32_t)EPOLLOUT) receive(leg);
        }
        free_dead();
    }
}

int main(int argc, char **argv) {
    int port = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--relay") == 0)
            is_relay = true;
        else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
            port = atoi(argv[++i]);
        else if (strcmp(argv[i], "--vapi-url") == 0 && i + 1 < argc)
            vapi_url = argv[++i];
    }
    if (port <= 0 || port > 65535 || vapi_url == NULL) {
        fputs("usage: bridge --port 8080 --vapi-url http://127.0.0.1:9001 [--relay]\n", stderr);
        return 2;
    }
    vm_dispatch_init(getenv("VAPIMEDIA_SIMD"));
    if (getrandom(&random_state, sizeof random_state, 0) < 0 || random_state == 0) random_state = 1;
    poller = epoll_create1(EPOLL_CLOEXEC);
    run(listen_on((uint16_t)port));
}
