/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* From one frame to the method it calls: the checks that every call shares. */

#include <stddef.h>

#include "daemon/context.h"

enum {
        _DISPATCH_E_SUCCESS,
        /* The frame was not a call: what is answered, if anything, is the last of this connection. */
        DISPATCH_E_MALFORMED,
};

/*
 * Serves one frame of @n bytes. @context names the caller; its call and answer are filled here, and
 * context_finish() follows, whatever comes of it. Returns 0, DISPATCH_E_MALFORMED, or a negative errno.
 */
int dispatch_call(Context *context, const char *frame, size_t n);
