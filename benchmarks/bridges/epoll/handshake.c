#define _GNU_SOURCE /* strcasestr, memmem */
#include "handshake.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base64.h"

enum { KEY = 24, ACCEPT = 28, HEAD = 8192, HOST = 256 };

static uint32_t rotate(uint32_t word, unsigned n) {
    return word << n | word >> (32 - n);
}

/* SHA-1 (FIPS 180-4 s. 6.1) of at most 119 bytes: two blocks. */
static void sha1(uint8_t digest[20], const uint8_t *message, size_t n) {
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[128] = {0};
    size_t n_padded = n < 56 ? 64 : 128;
    memcpy(padded, message, n);
    padded[n] = 0x80;
    padded[n_padded - 2] = (uint8_t)(n * 8 >> 8);
    padded[n_padded - 1] = (uint8_t)(n * 8);
    for (size_t at = 0; at < n_padded; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (size_t i = 0; i < 16; i++) {
            const uint8_t *four = padded + at + 4 * i;
            w[i] = (uint32_t)four[0] << 24 | (uint32_t)four[1] << 16 | (uint32_t)four[2] << 8 | four[3];
        }
        for (size_t i = 16; i < 80; i++)
            w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (size_t i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20)
                f = (b & c) | (~b & d), k = 0x5a827999;
            else if (i < 40)
                f = b ^ c ^ d, k = 0x6ed9eba1;
            else if (i < 60)
                f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
            else
                f = b ^ c ^ d, k = 0xca62c1d6;
            uint32_t next = rotate(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (size_t i = 0; i < 20; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* Sec-WebSocket-Accept for a key (RFC 6455 s. 4.2.2). */
static void accept_of(char accept[ACCEPT + 1], const char *key) {
    char text[KEY + 37];
    uint8_t digest[20];
    int n = snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", KEY, key);
    sha1(digest, (const uint8_t *)text, (size_t)n);
    accept[vm_base64_encode(accept, digest, sizeof digest)] = 0;
}

size_t handshake_answer(char answer[HANDSHAKE_ANSWER], const char *request) {
    const char *key = strcasestr(request, "\r\nSec-WebSocket-Key:");
    if (strncmp(request, "GET /twilio/media", 17) != 0 || key == NULL) return 0;
    key = strchr(key, ':') + 1;
    key += strspn(key, " ");
    if (strcspn(key, " \r\n") != KEY) return 0;
    char accept[ACCEPT + 1];
    accept_of(accept, key);
    int n = snprintf(answer, HANDSHAKE_ANSWER,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
    return (size_t)n;
}

/* Connect to `scheme`host[:port]; write "host:port" and where the path begins. */
static int open_tcp(const char *scheme, const char *url, char authority[HOST], const char **path) {
    if (strncmp(url, scheme, strlen(scheme)) != 0) return -1;
    url += strlen(scheme);
    size_t n = strcspn(url, "/?");
    if (n >= HOST) return -1;
    char host[HOST];
    snprintf(authority, HOST, "%.*s", (int)n, url);
    snprintf(host, sizeof host, "%s", authority);
    *path = url + n;
    char *colon = strchr(host, ':');
    if (colon != NULL) *colon = 0;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, colon == NULL ? "80" : colon + 1, &hints, &found) != 0) return -1;
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0), one = 1;
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    freeaddrinfo(found);
    return fd;
}

int handshake_create_call(char url[HANDSHAKE_URL], const char *vapi_url) {
    static const char body[] =
        "{\"assistantId\":\"asst_1\",\"transport\":{\"provider\":\"vapi.websocket\",\"audioFormat\":"
        "{\"format\":\"pcm_s16le\",\"container\":\"raw\",\"sampleRate\":16000}}}";
    char authority[HOST], text[HEAD + 1];
    const char *path;
    int fd = open_tcp("http://", vapi_url, authority, &path), found = -1;
    if (fd < 0) return -1;
    int n = snprintf(text, sizeof text,
                     "POST /call HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer none\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     authority, sizeof body - 1, body);
    size_t had = 0;
    ssize_t got = send(fd, text, (size_t)n, MSG_NOSIGNAL);
    while (found < 0 && got > 0 && had < HEAD && (got = recv(fd, text + had, HEAD - had, 0)) > 0) {
        text[had += (size_t)got] = 0;
        const char *value = strstr(text, "\"websocketCallUrl\"");
        value = value == NULL ? NULL : strstr(value, "\"ws");
        const char *end = value == NULL ? NULL : strchr(value + 1, '"');
        if (end == NULL) continue;
        if (end - value > HANDSHAKE_URL) break;
        snprintf(url, HANDSHAKE_URL, "%.*s", (int)(end - value - 1), value + 1);
        found = 0;
    }
    close(fd);
    return found;
}

int handshake_connect(const char *url, uint8_t *rest, size_t room, size_t *n_rest) {
    char authority[HOST], head[HEAD + 1], key[KEY + 1], accept[ACCEPT + 1];
    const char *path;
    uint8_t random[16];
    int fd = open_tcp("ws://", url, authority, &path);
    if (fd < 0 || getrandom(random, sizeof random, 0) != sizeof random) return -1;
    key[vm_base64_encode(key, random, sizeof random)] = 0;
    accept_of(accept, key);
    int n = snprintf(head, sizeof head,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     *path == 0 ? "/" : path, authority, key);
    size_t had = 0;
    ssize_t got = n < HEAD ? send(fd, head, (size_t)n, MSG_NOSIGNAL) : -1;
    while (got > 0 && had < HEAD && (got = recv(fd, head + had, HEAD - had, 0)) > 0) {
        head[had += (size_t)got] = 0;
        const char *end = memmem(head, had, "\r\n\r\n", 4);
        if (end == NULL) continue;
        *n_rest = had - (size_t)(end + 4 - head);
        if (strncmp(head, "HTTP/1.1 101", 12) != 0 || strstr(head, accept) == NULL || *n_rest > room) break;
        memcpy(rest, end + 4, *n_rest);
        return fd;
    }
    close(fd);
    return -1;
}
