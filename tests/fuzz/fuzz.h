/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What every fuzz-*.c is made of. Each is one entry for any bytes: libFuzzer calls it with what it
 * thinks of (-Dfuzz=true), replay.c with the files of the corpus. What must hold whatever the bytes are
 * is said by fuzz_expect(); the sanitizers say the rest.
 */

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input. Leaves nothing behind, neither memory nor descriptors. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Before the first input; not every fuzz-*.c has it. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define fuzz_expect(condition)                                                                          \
        do {                                                                                            \
                if (!(condition)) {                                                                     \
                        fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__,      \
                                #condition);                                                            \
                        abort();                                                                        \
                }                                                                                       \
        } while (0)

/* Cut off from the front piece by piece; both empty at the end. */
typedef struct FuzzInput {
        const char *data;
        size_t n;
} FuzzInput;

/* A copy with a NUL behind it and not a byte more, so that reading on is noticed. The caller's. */
static inline char *fuzz_copy(const char *data, size_t n) {
        char *text = malloc(n + 1);

        fuzz_expect(text);
        memcpy(text, data, n);
        text[n] = '\0';
        return text;
}

/* What stands before the next @separator, which is dropped; the rest if there is none. */
static inline FuzzInput fuzz_cut(FuzzInput *input, char separator) {
        const char *end = input->n > 0 ? memchr(input->data, separator, input->n) : NULL;
        FuzzInput piece = { input->data, end ? (size_t)(end - input->data) : input->n };
        size_t n = piece.n + (end != NULL);

        input->data += n;
        input->n -= n;
        return piece;
}

/* The next byte; 0 at the end. */
static inline uint8_t fuzz_byte(FuzzInput *input) {
        if (input->n == 0)
                return 0;
        input->n--;
        return (uint8_t)*input->data++;
}

/* The number in front, up to five digits; blanks before it are dropped. 0 if there is none. */
static inline unsigned fuzz_number(FuzzInput *input) {
        unsigned number = 0;

        while (input->n > 0 && *input->data == ' ')
                fuzz_byte(input);
        for (int i = 0; i < 5 && input->n > 0 && *input->data >= '0' && *input->data <= '9'; i++)
                number = number * 10 + (unsigned)(fuzz_byte(input) - '0');
        return number;
}

/* How many descriptors this process has open. */
static inline int fuzz_count_fds(void) {
        static DIR *folder;
        int n = 0;

        if (!folder)
                folder = opendir("/proc/self/fd");
        fuzz_expect(folder);
        rewinddir(folder);
        while (readdir(folder))
                n++;
        return n;
}
