/* SPDX-License-Identifier: BSD-2-Clause */

/* Who may take a lease up again, and what becomes of it then. */

#include "daemon/dispatch.h"
#include <sys/syscall.h>

#include "daemon/lifeline.h"
#include "daemon/process.h"
#include "proto/limits.h"
#include "tests/unit/group-kit.h"

typedef struct Caller {
        Kit kit;
        Process *process; /* of the client; NULL: it has gone */
} Caller;

static int get_process(Context *context, Process **ret) {
        Caller *caller = context->peer;

        if (!caller->process)
                return SUBJECT_E_GONE;
        *ret = caller->process;
        return 0;
}

static void caller_start(Caller *caller) {
        *caller = (Caller){ 0 };
        kit_init(&caller->kit, 1000);
        cr_assert(zero(int, grace_init(&caller->kit.services.grace, caller->kit.services.event,
                                       &caller->kit.services.endpoints.timers_changed)));
}

static void caller_end(Caller *caller) {
        lease_owner_end(&caller->kit.services.grace.owner, MEMBER_LEAVE_LOST, "end");
        if (caller->process)
                lease_owner_end(&caller->process->owner, MEMBER_LEAVE_LOST, "end");
        process_unref(caller->process);
        grace_deinit(&caller->kit.services.grace);
        kit_end(&caller->kit);
}

/* It waits, as @uid's, since the broker was lost. */
static Lease *wait_for(Caller *caller, uid_t uid) {
        Lease *lease = kit_lease_of(&caller->kit, uid,
                                    kit_open(&caller->kit, "tcp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0));

        LIST_REMOVE(lease, by_owner);
        lease->owner = &caller->kit.services.grace.owner;
        LIST_INSERT_HEAD(&lease->owner->leases, lease, by_owner);
        return lease;
}

static void have_process(Caller *caller) {
        int fd = (int)syscall(SYS_pidfd_open, getppid(), 0);

        cr_assert(zero(int, process_new(caller->kit.services.event, fd, &caller->process)));
}

/* Calls Resume for what @leases is the inside of. Returns the answer, valid until the next. */
static const char *resume(Caller *caller, const char *leases, const char *more) {
        static char frame[256 * 1024];
        Context context = {
                .services = &caller->kit.services,
                .subject = caller->kit.subject,
                .user = caller->kit.user,
                .connection = &caller->kit.connection,
                .get_process = get_process,
                .peer = caller,
        };

        snprintf(frame, sizeof(frame),
                 "{\"method\":\"io.reuseportd.Resume\",\"parameters\":{\"leases\":[%s]%s}}", leases,
                 more);
        cr_assert(zero(int, dispatch_call(&context, frame, strlen(frame))));
        context_finish(&context, true);
        return caller->kit.services.buffer.data;
}

static const char *request(const Caller *caller, const Lease *lease, uint64_t cookie) {
        static char text[128];
        char id[ID_TEXT_MAX];

        snprintf(text, sizeof(text), "{\"lease\":\"%s\",\"cookie\":\"%llu\"}",
                 id_format(&caller->kit.services.ids, 'l', lease->id, id), (unsigned long long)cookie);
        return text;
}

static void expect(const char *answer, const char *fragment) {
        cr_assert(ne(ptr, strstr(answer, fragment), NULL), "%s\nhas no %s", answer, fragment);
}

static void expect_lost(Caller *caller, const Lease *lease, uint64_t cookie) {
        const LeaseOwner *owner = lease->owner;

        expect(resume(caller, request(caller, lease, cookie), ""), "\"resumed\":[]");
        cr_assert(eq(ptr, (void *)lease->owner, (void *)owner));
}

TestSuite(resume_method, .timeout = 10);

Test(resume_method, ends_with_the_new_connection) {
        Caller caller;
        Lease *lease;

        caller_start(&caller);
        lease = wait_for(&caller, 1000);
        expect(resume(&caller, request(&caller, lease, lease->member->cookie), ""), "\"lost\":[]");
        cr_assert(eq(ptr, lease->owner, &caller.kit.connection));
        cr_assert(eq(ptr, lease->subject, caller.kit.subject));
        /* Again, by the same connection. */
        expect(resume(&caller, request(&caller, lease, lease->member->cookie), ""), "\"lost\":[]");
        cr_assert(eq(ptr, lease->owner, &caller.kit.connection));
        caller_end(&caller);
}

Test(resume_method, nothing_of_anybody_else) {
        LeaseOwner other = { 0 };
        Caller caller;
        Lease *lease;

        caller_start(&caller);
        lease = wait_for(&caller, 1001);
        expect_lost(&caller, lease, lease->member->cookie);
        lease = wait_for(&caller, 1000);
        expect_lost(&caller, lease, lease->member->cookie + 1);
        expect_lost(&caller, lease, 0);
        /* Held by another connection that lives. */
        LIST_REMOVE(lease, by_owner);
        lease->owner = &other;
        LIST_INSERT_HEAD(&other.leases, lease, by_owner);
        expect_lost(&caller, lease, lease->member->cookie);
        lease_owner_end(&other, MEMBER_LEAVE_LOST, "end");
        caller_end(&caller);
}

Test(resume_method, what_is_no_lease_is_lost) {
        static const char *const requests[] = {
                "{\"lease\":\"\",\"cookie\":\"1\"}",
                "{\"lease\":\"l1\",\"cookie\":\"\"}",
                "{\"lease\":\"l1-00000000\",\"cookie\":\"1\"}",
                "{\"lease\":\"e1-00000000\",\"cookie\":\"-1\"}",
                "{\"lease\":\"l99999999999999999999999-00000000\",\"cookie\":\"1\"}",
        };
        Caller caller;

        caller_start(&caller);
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
                expect(resume(&caller, requests[i], ""), "\"resumed\":[]");
        expect(resume(&caller, "", ""), "\"resumed\":[]");
        caller_end(&caller);
}

Test(resume_method, one_that_is_named_twice_is_resumed_twice) {
        char twice[512], id[ID_TEXT_MAX], expected[128];
        Caller caller;
        Lease *lease;

        for (int process = 0; process < 2; process++) {
                caller_start(&caller);
                have_process(&caller);
                lease = wait_for(&caller, 1000);
                snprintf(twice, sizeof(twice), "%s,", request(&caller, lease, lease->member->cookie));
                strcat(twice, request(&caller, lease, lease->member->cookie));
                id_format(&caller.kit.services.ids, 'l', lease->id, id);
                snprintf(expected, sizeof(expected), "\"resumed\":[\"%s\",\"%s\"]", id, id);
                expect(resume(&caller, twice, process ? ",\"lifetime\":\"process\"" : ""), expected);
                cr_assert(eq(ptr, lease->owner,
                             process ? &caller.process->owner : &caller.kit.connection));
                caller_end(&caller);
        }
}

Test(resume_method, may_end_with_the_process) {
        Caller caller;
        Lease *lease;

        caller_start(&caller);
        have_process(&caller);
        lease = wait_for(&caller, 1000);
        expect(resume(&caller, request(&caller, lease, lease->member->cookie),
                      ",\"lifetime\":\"process\""),
               "\"lost\":[]");
        cr_assert(eq(ptr, lease->process, caller.process));
        cr_assert(eq(sz, caller.process->n_refs, 2));
        /* It stays with it, whatever is asked for. */
        expect(resume(&caller, request(&caller, lease, lease->member->cookie), ""), "\"lost\":[]");
        cr_assert(eq(ptr, lease->owner, &caller.process->owner));
        caller_end(&caller);
}

/* It would be one that nothing ends: no descriptor goes with the answer. */
Test(resume_method, nothing_that_waits_comes_to_end_with_a_descriptor) {
        Caller caller;
        Lease *lease;

        caller_start(&caller);
        lease = wait_for(&caller, 1000);
        expect(resume(&caller, request(&caller, lease, lease->member->cookie),
                      ",\"lifetime\":\"descriptor\""),
               "\"resumed\":[]");
        cr_assert(eq(ptr, lease->owner, &caller.kit.services.grace.owner));
        caller_end(&caller);
}

Test(resume_method, what_ends_with_a_descriptor_goes_on) {
        static const char *const more[] = { "", ",\"lifetime\":\"descriptor\"",
                                            ",\"lifetime\":\"process\"" };
        Process *lifeline;
        Caller caller;
        Lease *lease;
        int fd;

        caller_start(&caller);
        have_process(&caller);
        cr_assert(zero(int, lifeline_new(caller.kit.services.event, &fd, &lifeline)));
        lease = kit_lease(&caller.kit,
                          kit_open(&caller.kit, "tcp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0), lifeline);
        process_unref(lifeline);
        for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
                expect(resume(&caller, request(&caller, lease, lease->member->cookie), more[i]),
                       "\"lost\":[]");
                cr_assert(eq(ptr, lease->owner, &lifeline->owner));
        }
        expect_lost(&caller, lease, lease->member->cookie + 1);
        close(fd);
        kit_turn(&caller.kit);
        cr_assert(zero(sz, lease_registry_count(&caller.kit.services.leases)));
        caller_end(&caller);
}

Test(resume_method, without_its_process_nothing_is_moved) {
        Caller caller;
        Lease *lease;

        caller_start(&caller);
        lease = wait_for(&caller, 1000);
        expect(resume(&caller, request(&caller, lease, lease->member->cookie),
                      ",\"lifetime\":\"process\""),
               "\"error\":");
        cr_assert(eq(ptr, lease->owner, &caller.kit.services.grace.owner));
        caller_end(&caller);
}

Test(resume_method, too_many_at_once_are_refused) {
        static char many[128 * 1024];
        Caller caller;
        Lease *lease;

        caller_start(&caller);
        lease = wait_for(&caller, 1000);
        strcpy(many, request(&caller, lease, lease->member->cookie));
        for (int i = 0; i < LEASES_PER_CALL_MAX; i++)
                strcat(many, ",{\"lease\":\"l1-12345678\",\"cookie\":\"1\"}");
        expect(resume(&caller, many, ""), "QuotaExceeded");
        cr_assert(eq(ptr, lease->owner, &caller.kit.services.grace.owner));
        caller_end(&caller);
}
