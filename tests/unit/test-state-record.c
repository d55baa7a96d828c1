/* SPDX-License-Identifier: BSD-2-Clause */

/* What is saved of an object is read back; what cannot be, is refused. */

#include "daemon/state-record.h"

#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "tests/unit/leaks.h"

enum {
        UNKNOWN = 4711, /* a tag */
};

#define EXPECT_TEXT(actual, expected) cr_assert(eq(str, (char *)(actual), (char *)(expected)))

static const unsigned groups[] = { 10, 20, 30 };

static SavedSubject some_subject(uint64_t uid) {
        return (SavedSubject){ .uid = uid,
                               .gid = uid + 1,
                               .pid = uid + 2,
                               .connected_usec = uid + 3,
                               .groups = { groups, sizeof(groups) },
                               .cgroup = "/system.slice/a.service",
                               .label = "unconfined" };
}

static void expect_subject(const SavedSubject *subject, uint64_t uid) {
        cr_assert(eq(u64, subject->uid, uid));
        cr_assert(eq(u64, subject->gid, uid + 1));
        cr_assert(eq(u64, subject->pid, uid + 2));
        cr_assert(eq(u64, subject->connected_usec, uid + 3));
        cr_assert(eq(sz, subject->groups.n, sizeof(groups)));
        cr_assert(zero(int, memcmp(subject->groups.data, groups, sizeof(groups))));
        EXPECT_TEXT(subject->cgroup, "/system.slice/a.service");
        EXPECT_TEXT(subject->label, "unconfined");
}

static void encode(StateKind kind, const void *saved, StateBuffer *buffer) {
        cr_assert(zero(int, state_record_encode(kind, saved, buffer)));
}

/* A field as it is written down. */
static void append(StateBuffer *buffer, uint32_t tag, const void *data, uint32_t n) {
        uint32_t head[2] = { tag, n };

        cr_assert(zero(int, state_buffer_append(buffer, head, sizeof(head))));
        cr_assert(zero(int, state_buffer_append(buffer, data, n)));
}

/* From memory of its own, so that reading on is noticed. */
static int decode(StateKind kind, const StateBuffer *buffer, void *ret, StateBuffer *rest,
                  char **ret_data) {
        *ret_data = malloc(buffer->n ?: 1);
        if (buffer->n > 0)
                memcpy(*ret_data, buffer->data, buffer->n);
        return state_record_decode(kind, *ret_data, buffer->n, ret, rest);
}

/* Consumes what is in @buffer. */
static void expect_malformed(StateKind kind, StateBuffer *buffer) {
        union {
                SavedEndpoint endpoint;
                SavedMember member;
                SavedLease lease;
        } saved;
        _cleanup_(freep) char *data = NULL;
        StateBuffer rest = { 0 };

        cr_assert(eq(int, decode(kind, buffer, &saved, &rest, &data), STATE_RECORD_E_MALFORMED));
        state_buffer_deinit(&rest);
        state_buffer_deinit(buffer);
}

TestSuite(state_record, .timeout = 10);

/* ---- there and
 * back -------------------------------------------------------------------------------- */

Test(state_record, an_endpoint_is_read_back) {
        SavedEndpoint have, saved = { .network = "tcp4",
                                      .address = "127.0.0.1:80",
                                      .name = "web",
                                      .sharing = 1,
                                      .steering = 2,
                                      .retain_usec = UINT64_MAX,
                                      .tenant_uid = 3,
                                      .tenant_name = "",
                                      .maker = some_subject(1000),
                                      .options = "{}",
                                      .file_device = 4,
                                      .file_inode = 5,
                                      .sentinel = 6,
                                      .sentinel_cookie = 7,
                                      .sentinel_place = 8,
                                      .network_namespace = "4711 /run/netns/blue" };
        _cleanup_(freep) char *data = NULL;
        StateBuffer buffer = { 0 }, rest = { 0 };

        encode(STATE_ENDPOINT, &saved, &buffer);
        cr_assert(zero(int, decode(STATE_ENDPOINT, &buffer, &have, &rest, &data)));
        EXPECT_TEXT(have.network, "tcp4");
        EXPECT_TEXT(have.address, "127.0.0.1:80");
        EXPECT_TEXT(have.name, "web");
        EXPECT_TEXT(have.tenant_name, "");
        EXPECT_TEXT(have.options, "{}");
        expect_subject(&have.maker, 1000);
        cr_assert(eq(u64, have.sharing, 1));
        cr_assert(eq(u64, have.steering, 2));
        cr_assert(eq(u64, have.retain_usec, UINT64_MAX));
        cr_assert(eq(u64, have.tenant_uid, 3));
        cr_assert(eq(u64, have.file_device, 4));
        cr_assert(eq(u64, have.file_inode, 5));
        cr_assert(eq(u64, have.sentinel, 6));
        cr_assert(eq(u64, have.sentinel_cookie, 7));
        cr_assert(eq(u64, have.sentinel_place, 8));
        EXPECT_TEXT(have.network_namespace, "4711 /run/netns/blue");
        cr_assert(zero(sz, rest.n));
        state_buffer_deinit(&buffer);
}

Test(state_record, a_member_is_read_back) {
        SavedMember have, saved = { .endpoint = 1,
                                    .cookie = UINT64_MAX - 1,
                                    .state = 2,
                                    .weight = 3,
                                    .orphan = 1,
                                    .retain_until_usec = 4,
                                    .parked_usec = 5,
                                    .has_holder = 1,
                                    .last_holder = some_subject(7),
                                    .payer = 8,
                                    .departs = 1,
                                    .place = 9,
                                    .flows = 10,
                                    .counted_by = 11,
                                    .count_at = 12 };
        _cleanup_(freep) char *data = NULL;
        StateBuffer buffer = { 0 }, rest = { 0 };

        encode(STATE_MEMBER, &saved, &buffer);
        cr_assert(zero(int, decode(STATE_MEMBER, &buffer, &have, &rest, &data)));
        expect_subject(&have.last_holder, 7);
        have.last_holder = saved.last_holder = (SavedSubject){ 0 };
        cr_assert(zero(int, memcmp(&have, &saved, sizeof(have))));
        cr_assert(zero(sz, rest.n));
        state_buffer_deinit(&buffer);
}

Test(state_record, a_lease_is_read_back) {
        SavedLease have, saved = {
                .member = 1, .since_usec = 2, .subject = some_subject(3), .process = 4, .rule = "r"
        };
        _cleanup_(freep) char *data = NULL;
        StateBuffer buffer = { 0 }, rest = { 0 };

        encode(STATE_LEASE, &saved, &buffer);
        cr_assert(zero(int, decode(STATE_LEASE, &buffer, &have, &rest, &data)));
        expect_subject(&have.subject, 3);
        EXPECT_TEXT(have.rule, "r");
        cr_assert(eq(u64, have.member, 1));
        cr_assert(eq(u64, have.since_usec, 2));
        cr_assert(eq(u64, have.process, 4));
        state_buffer_deinit(&buffer);
}

Test(state_record, what_is_zero_is_left_out) {
        static const size_t sizes[] = {
                [STATE_ENDPOINT] = sizeof(SavedEndpoint),
                [STATE_MEMBER] = sizeof(SavedMember),
                [STATE_LEASE] = sizeof(SavedLease),
        };

        for (StateKind kind = STATE_ENDPOINT; kind < _STATE_KIND_N; kind++) {
                char zeroed[512] = { 0 }, have[512];
                StateBuffer buffer = { 0 };

                encode(kind, zeroed, &buffer);
                cr_assert(zero(sz, buffer.n));
                /* What is read into may have been anything. */
                memset(have, 0xaa, sizeof(have));
                cr_assert(zero(int, state_record_decode(kind, NULL, 0, have, NULL)));
                cr_assert(zero(int, memcmp(have, zeroed, sizes[kind])));
                state_buffer_deinit(&buffer);
        }
}

/* ---- fields of a newer
 * broker ---------------------------------------------------------------------- */

Test(state_record, unknown_fields_are_kept_and_read_again) {
        StateBuffer first = { 0 }, second = { 0 }, rest = { 0 }, again = { 0 };
        _cleanup_(freep) char *data = NULL, *more = NULL;
        uint64_t number = 5;
        SavedLease saved;

        append(&first, UNKNOWN, "abc", 3);
        append(&first, 1, &number, sizeof(number));
        append(&first, UNKNOWN, "", 0);
        append(&first, UINT32_MAX, "defg", 4);
        append(&first, 0, "h", 1);
        cr_assert(zero(int, decode(STATE_LEASE, &first, &saved, &rest, &data)));
        cr_assert(eq(u64, saved.member, 5));
        cr_assert(eq(sz, rest.n, 4 * 8 + 3 + 4 + 1));
        encode(STATE_LEASE, &saved, &second);
        cr_assert(zero(int, state_buffer_append(&second, rest.data, rest.n)));
        cr_assert(zero(int, decode(STATE_LEASE, &second, &saved, &again, &more)));
        cr_assert(eq(u64, saved.member, 5));
        cr_assert(eq(sz, again.n, rest.n));
        cr_assert(zero(int, memcmp(again.data, rest.data, rest.n)));
        state_buffer_deinit(&first);
        state_buffer_deinit(&second);
        state_buffer_deinit(&rest);
        state_buffer_deinit(&again);
}

/* Before, between and behind those that are known. */
Test(state_record, unknown_fields_of_a_subject_are_kept_and_read_again) {
        StateBuffer inner = { 0 }, buffer = { 0 }, rest = { 0 };
        uint64_t uid = 1000, gid = 1001, member = 5;
        SavedLease saved;

        append(&inner, 1, &uid, sizeof(uid));
        append(&inner, UNKNOWN, "abc", 3);
        append(&inner, 2, &gid, sizeof(gid));
        append(&inner, UINT32_MAX, "", 0);
        append(&inner, UNKNOWN, "defg", 4);
        append(&buffer, 3, inner.data, (uint32_t)inner.n);
        append(&buffer, 1, &member, sizeof(member));
        /* However often it is written. */
        for (int i = 0; i < 3; i++) {
                _cleanup_(freep) char *data = NULL;

                cr_assert(zero(int, decode(STATE_LEASE, &buffer, &saved, &rest, &data)));
                cr_assert(eq(u64, saved.member, 5));
                cr_assert(eq(u64, saved.subject.uid, 1000));
                cr_assert(eq(u64, saved.subject.gid, 1001));
                cr_assert(zero(sz, rest.n));
                state_buffer_deinit(&buffer);
                encode(STATE_LEASE, &saved, &buffer);
                cr_assert(eq(sz, buffer.n, 2 * 8 + 8 + inner.n), "nothing is there twice");
                cr_assert(ne(ptr, memmem(buffer.data, buffer.n, "abc", 3), NULL));
                cr_assert(ne(ptr, memmem(buffer.data, buffer.n, "defg", 4), NULL));
        }
        state_buffer_deinit(&inner);
        state_buffer_deinit(&buffer);
}

Test(state_record, a_subject_of_unknown_fields_alone_is_kept) {
        StateBuffer inner = { 0 }, buffer = { 0 }, again = { 0 };
        SavedLease saved;

        append(&inner, UNKNOWN, "abc", 3);
        append(&buffer, 3, inner.data, (uint32_t)inner.n);
        cr_assert(zero(int, state_record_decode(STATE_LEASE, buffer.data, buffer.n, &saved, NULL)));
        encode(STATE_LEASE, &saved, &again);
        cr_assert(eq(sz, again.n, buffer.n));
        cr_assert(zero(int, memcmp(again.data, buffer.data, buffer.n)));
        state_buffer_deinit(&inner);
        state_buffer_deinit(&buffer);
        state_buffer_deinit(&again);
}

Test(state_record, of_a_field_that_is_there_twice_the_last_counts) {
        StateBuffer buffer = { 0 };
        _cleanup_(freep) char *data = NULL;
        uint64_t first = 1, last = 2;
        SavedLease saved;

        append(&buffer, 1, &first, sizeof(first));
        append(&buffer, 5, "one", 4);
        append(&buffer, 1, &last, sizeof(last));
        append(&buffer, 5, "two", 4);
        cr_assert(zero(int, decode(STATE_LEASE, &buffer, &saved, NULL, &data)));
        cr_assert(eq(u64, saved.member, 2));
        EXPECT_TEXT(saved.rule, "two");
        state_buffer_deinit(&buffer);
}

/* ---- what is
 * malformed ----------------------------------------------------------------------------- */

Test(state_record, a_record_that_is_cut_short_is_malformed) {
        SavedLease have, saved = { .member = 1, .subject = some_subject(3), .rule = "rule" };
        StateBuffer buffer = { 0 };
        size_t whole, n_good = 0;

        encode(STATE_LEASE, &saved, &buffer);
        whole = buffer.n;
        for (buffer.n = 0; buffer.n < whole; buffer.n++) {
                _cleanup_(freep) char *data = NULL;
                int r = decode(STATE_LEASE, &buffer, &have, NULL, &data);

                cr_assert(r == 0 || r == STATE_RECORD_E_MALFORMED);
                n_good += r == 0;
        }
        /* Between two fields. */
        cr_assert(eq(sz, n_good, 3));
        state_buffer_deinit(&buffer);
}

Test(state_record, a_length_past_the_end_is_malformed) {
        static const uint32_t lengths[] = { 1, 8, UINT32_MAX - 8, UINT32_MAX - 7, UINT32_MAX };

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                uint32_t known[2] = { 1, lengths[i] }, unknown[2] = { UNKNOWN, lengths[i] };
                StateBuffer buffer = { 0 };

                cr_assert(zero(int, state_buffer_append(&buffer, known, sizeof(known))));
                expect_malformed(STATE_LEASE, &buffer);
                cr_assert(zero(int, state_buffer_append(&buffer, unknown, sizeof(unknown))));
                expect_malformed(STATE_LEASE, &buffer);
        }
}

Test(state_record, text_ends_with_its_only_nul) {
        static const struct {
                const char *data;
                uint32_t n;
        } bad[] = { { "", 0 }, { "rule", 4 }, { "ru\0le", 6 }, { "rule\0", 6 }, { "\0", 2 } };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                StateBuffer buffer = { 0 };

                append(&buffer, 5, bad[i].data, bad[i].n);
                expect_malformed(STATE_LEASE, &buffer);
        }
}

Test(state_record, a_number_has_eight_bytes) {
        static const uint32_t sizes[] = { 0, 1, 4, 7, 9, 16 };

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                StateBuffer buffer = { 0 };

                append(&buffer, 1, "0123456789abcdef", sizes[i]);
                expect_malformed(STATE_MEMBER, &buffer);
        }
}

Test(state_record, what_is_nested_is_not_malformed_either) {
        StateBuffer inner = { 0 }, buffer = { 0 };

        append(&buffer, 3, "1234567", 7);
        expect_malformed(STATE_LEASE, &buffer);
        append(&inner, 6, "cgroup", 6);
        append(&buffer, 3, inner.data, (uint32_t)inner.n);
        expect_malformed(STATE_LEASE, &buffer);
        append(&buffer, UNKNOWN, "kept", 4);
        append(&buffer, 9, inner.data, (uint32_t)inner.n);
        expect_malformed(STATE_ENDPOINT, &buffer);
        /* Nor is what is behind an unknown field. */
        inner.n = 0;
        append(&inner, UNKNOWN, "kept", 4);
        append(&buffer, 3, inner.data, (uint32_t)inner.n + 1);
        expect_malformed(STATE_LEASE, &buffer);
        append(&inner, 1, "1234567", 7);
        append(&buffer, 3, inner.data, (uint32_t)inner.n);
        expect_malformed(STATE_LEASE, &buffer);
        state_buffer_deinit(&inner);
}
