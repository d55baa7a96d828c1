/* SPDX-License-Identifier: BSD-2-Clause */

/* The trace of a fault, as the log will show it. */

#include "proto/error.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/leaks.h"

TestSuite(error, .timeout = 10);

/* More places than any trace keeps. */
enum {
        DEEP = 100,
};

static int raise_fault(int fault) {
        return error_origin(fault);
}

static int pass_fault(int fault) {
        return error_trace(raise_fault(fault));
}

static int pass_fault_deep(int fault, int depth) {
        int r = depth > 0 ? pass_fault_deep(fault, depth - 1) : raise_fault(fault);

        return error_trace(r);
}

Test(error, no_fault_is_said_to_be_none) {
        char text[256];

        cr_assert(eq(str, (char *)error_describe(text, sizeof(text)), (char *)"no fault"));
}

Test(error, answers_and_success_leave_the_trace_alone) {
        char before[512], after[512];
        int zero = 0;

        cr_assert(eq(int, pass_fault(-EBADF), -EBADF));
        error_describe(before, sizeof(before));
        cr_assert(eq(int, error_fold(zero), 0));
        cr_assert(eq(int, error_trace(zero), 0));
        error_describe(after, sizeof(after));
        cr_assert(eq(str, after, before));
}

Test(error, origin_gives_its_argument_back) {
        static const int faults[] = { -ENOMEM, -EMFILE, -EPERM, -4095 };

        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
                cr_assert(eq(int, raise_fault(faults[i]), faults[i]));
}

/* A call that failed without setting errno must not look as if it had succeeded. */
Test(error, origin_without_a_fault_is_a_fault) {
        static const int faults[] = { 0, 1, EIO };
        char text[256];

        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                cr_assert(eq(int, raise_fault(faults[i]), -ENOTRECOVERABLE));
                error_describe(text, sizeof(text));
                cr_assert(eq(int, strncmp(text, "State not recoverable at raise_fault", 36), 0));
        }
}

Test(error, answers_pass_unchanged) {
        int answer = 3;

        cr_assert(eq(int, error_trace(answer), 3));
}

Test(error, description_names_the_error_and_each_place_innermost_first) {
        char text[512];
        const char *inner, *outer;

        pass_fault(-EMFILE);
        cr_assert(eq(ptr, (void *)error_describe(text, sizeof(text)), text));
        cr_assert(eq(int, strncmp(text, "Too many open files at raise_fault (", 36), 0));
        inner = strstr(text, "raise_fault (");
        outer = strstr(text, " < pass_fault (");
        cr_assert(ne(ptr, (void *)inner, NULL));
        cr_assert(ne(ptr, (void *)outer, NULL));
        cr_assert(lt(ptr, (void *)inner, (void *)outer));
        cr_assert(ne(ptr, strstr(text, "test-error.c:"), NULL));
        cr_assert(eq(ptr, strchr(text, '\n'), NULL));
}

Test(error, origin_starts_anew) {
        char text[512];

        pass_fault(-EMFILE);
        raise_fault(-ENOMEM);
        error_describe(text, sizeof(text));
        cr_assert(eq(int, strncmp(text, "Cannot allocate memory at raise_fault", 37), 0));
        cr_assert(eq(ptr, strstr(text, "pass_fault"), NULL));
        cr_assert(eq(ptr, strstr(text, "Too many"), NULL));
}

Test(error, number_without_a_text_is_not_called_no_fault) {
        char text[256];

        /* ENOTSUPP of the kernel, which libc does not know. */
        raise_fault(-524);
        error_describe(text, sizeof(text));
        cr_assert(eq(int, strncmp(text, "unknown error at raise_fault", 28), 0));
}

Test(error, fold_makes_a_fault_of_an_answer) {
        char text[256];
        int answer = 3;

        pass_fault(-EMFILE);
        cr_assert(eq(int, error_fold(answer), -ENOTRECOVERABLE));
        error_describe(text, sizeof(text));
        cr_assert(eq(int, strncmp(text, "State not recoverable at error_", 31), 0));
        cr_assert(eq(ptr, strstr(text, "raise_fault"), NULL));
}

Test(error, fold_passes_a_fault_on) {
        char text[512];
        int fault = raise_fault(-EIO);

        cr_assert(eq(int, error_fold(fault), -EIO));
        error_describe(text, sizeof(text));
        cr_assert(ne(ptr, strstr(text, "at raise_fault"), NULL));
        cr_assert(ne(ptr, strstr(text, " < error_"), NULL));
}

Test(error, long_trace_keeps_its_innermost_places) {
        char text[16 * 1024];

        cr_assert(eq(int, pass_fault_deep(-EIO, DEEP), -EIO));
        error_describe(text, sizeof(text));
        cr_assert(ne(ptr, strstr(text, "at raise_fault"), NULL));
        cr_assert(ne(ptr, strstr(text, " < pass_fault_deep"), NULL));
        cr_assert(lt(sz, strlen(text), sizeof(text) - 1));

        raise_fault(-EPERM);
        error_describe(text, sizeof(text));
        cr_assert(eq(ptr, strstr(text, "pass_fault_deep"), NULL));
}

Test(error, description_never_leaves_its_buffer) {
        char whole[16 * 1024];

        pass_fault_deep(-EIO, DEEP);
        error_describe(whole, sizeof(whole));
        for (size_t size = 1; size <= strlen(whole) + 1; size++) {
                char *text = malloc(size);

                cr_assert(ne(ptr, text, NULL));
                error_describe(text, size);
                cr_assert(eq(sz, strlen(text), size - 1));
                cr_assert(eq(int, strncmp(text, whole, size - 1), 0));
                free(text);
        }
        leaks_expect_none();
}

static void *describe_in_thread(void *text) {
        error_describe(text, 256);
        return NULL;
}

Test(error, threads_do_not_see_each_other) {
        pthread_t thread;
        char text[256];

        raise_fault(-EIO);
        cr_assert(zero(int, pthread_create(&thread, NULL, describe_in_thread, text)));
        cr_assert(zero(int, pthread_join(thread, NULL)));
        cr_assert(eq(str, text, (char *)"no fault"));
}
