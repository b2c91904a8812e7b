/* What happens once a call: HTTP on both sides. Everything here blocks; nothing of it is measured. */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

enum { HANDSHAKE_URL = 1024, HANDSHAKE_ANSWER = 256 };

/* Write the answer to an upgrade of /twilio/media, whose request ends with a NUL; return its length, or 0 if
 * it is something else. */
size_t handshake_answer(char answer[HANDSHAKE_ANSWER], const char *request);

/* POST /call to the API at `vapi_url`; write the call socket's URL. Return 0, or -1 if there is no call. */
int handshake_create_call(char url[HANDSHAKE_URL], const char *vapi_url);

/* Open the WebSocket at `url` (ws:// only); return the blocking socket, or -1. Frames that came with the
 * answer go to `rest`, which has `room` bytes. */
int handshake_connect(const char *url, uint8_t *rest, size_t room, size_t *n_rest);

#endif
