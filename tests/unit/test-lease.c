/* SPDX-License-Identifier: BSD-2-Clause */

/* Who holds what, and what is left when a lease ends in each of its ways. */

#include "daemon/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/daemon-kit.h"

static bool exists(const char *file) {
        struct stat st;

        return lstat(file, &st) == 0;
}

static void expect_counts(const Kit *kit, size_t endpoints, size_t leases) {
        cr_assert(eq(sz, endpoint_registry_count(&kit->services.endpoints), endpoints));
        cr_assert(eq(sz, lease_registry_count(&kit->services.leases), leases));
        cr_assert(eq(sz, kit->services.accounts.used[RESOURCE_LEASES], leases));
}

/* The only endpoint of the kit. */
static Endpoint *only(const Kit *kit) {
        cr_assert(eq(sz, endpoint_registry_count(&kit->services.endpoints), 1));
        return kit->services.endpoints.by_key;
}

/* A parked member, its lease lost. */
static Member *park(Kit *kit, Sharing sharing) {
        Lease *lease = kit_acquire(kit, "tcp4", "127.0.0.1:0", sharing, KIT_RETAIN_USEC);
        Member *member = lease->member;

        lease_end(lease, MEMBER_LEAVE_LOST, "gone");
        kit_expect_told(kit, "released parked ");
        cr_assert(eq(ptr, endpoint_parked_member(member->endpoint), member));
        return member;
}

TestSuite(lease, .timeout = 10);

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(lease, over_quota_leaves_the_member_alone) {
        LeaseTerms terms;
        Lease *lease = NULL;
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        kit.services.accounts.limit_per_user[RESOURCE_LEASES] = 1;
        kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, 0);
        member = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, 0);
        terms = (LeaseTerms){ .subject = kit.subject, .user = kit.user, .connection = &kit.connection };
        cr_assert(
                eq(int, lease_new(&kit.services.leases, member, &terms, &lease), ACCOUNT_E_USER_LIMIT));
        kit.services.accounts.limit_per_user[RESOURCE_LEASES] = 0;
        kit.services.accounts.limit[RESOURCE_LEASES] = 1;
        cr_assert(eq(int, lease_new(&kit.services.leases, member, &terms, &lease), ACCOUNT_E_LIMIT));
        cr_assert(eq(ptr, lease, NULL));
        cr_assert(eq(ptr, LIST_FIRST(&member->leases), NULL));
        cr_assert(eq(int, member->state, MEMBER_LIVE));
        expect_counts(&kit, 2, 1);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(lease, not_found_by_another_id) {
        static const char *const forms[] = { "%s ", " %s", "%s0", "x%s", "" };
        char id[ID_TEXT_MAX], text[2 * ID_TEXT_MAX];
        IdSource *ids;
        Lease *lease;
        Kit kit;

        kit_init(&kit, 1000);
        ids = &kit.services.ids;
        cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, ""), NULL));
        cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, id_format(ids, 'l', 1, id)), NULL));
        lease = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, id_format(ids, 'm', lease->id, id)),
                     NULL));
        cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, id_format(ids, 'l', lease->id + 1, id)),
                     NULL));
        cr_assert(eq(ptr,
                     lease_find(&kit.services.leases, ids, id_format(ids, 'l', lease->member->id, id)),
                     NULL));
        id_format(&(IdSource){ .epoch = ids->epoch + 1 }, 'l', lease->id, id);
        cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, id), NULL));
        id_format(ids, 'l', lease->id, id);
        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                const char *at = strstr(forms[i], "%s") ?: forms[i];

                snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - forms[i]), forms[i],
                         forms[i][0] ? id : "", forms[i][0] ? at + 2 : "");
                cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, text), NULL), "\"%s\"", text);
        }
        cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, id), lease));
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
        cr_assert(eq(ptr, lease_find(&kit.services.leases, ids, id), NULL));
        kit_end(&kit);
}

/* ---- undone ------------------------------------------------------------------------------------- */

Test(lease, undone_leaves_no_endpoint_no_file_no_event) {
        char folder[] = "/tmp/test-lease-XXXXXX", path[64];
        Kit kit;

        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, sizeof(path), "%s/socket", folder);
        kit_init(&kit, 1000);
        lease_end(kit_lease(&kit, kit_open(&kit, "unix", path, SHARING_SHARED, KIT_RETAIN_USEC), NULL),
                  MEMBER_LEAVE_UNDONE, NULL);
        cr_assert(not(exists(path)));
        expect_counts(&kit, 0, 0);
        lease_end(kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC),
                            NULL),
                  MEMBER_LEAVE_UNDONE, NULL);
        expect_counts(&kit, 0, 0);
        kit_expect_told(&kit, "");
        kit_end(&kit);
        cr_assert(zero(int, rmdir(folder)));
}

Test(lease, undone_in_a_group_or_shared_leaves_the_others) {
        Lease *first, *second;
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        first = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        endpoint = first->member->endpoint;
        second = kit_lease(&kit, kit_join(endpoint), NULL);
        lease_end(second, MEMBER_LEAVE_UNDONE, NULL);
        cr_assert(eq(sz, endpoint->n_members, 1));
        second = kit_lease(&kit, first->member, NULL);
        lease_end(second, MEMBER_LEAVE_UNDONE, NULL);
        cr_assert(eq(sz, endpoint->n_members, 1));
        cr_assert(eq(int, first->member->state, MEMBER_LIVE));
        cr_assert(eq(ptr, LIST_FIRST(&first->member->leases), first));
        expect_counts(&kit, 1, 1);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(lease, an_adoption_undone_parks_again_until_the_same_time) {
        uint64_t until, timer;
        Endpoint *endpoint;
        Member *member;
        int client, fd;
        Kit kit;

        kit_init(&kit, 1000);
        member = park(&kit, SHARING_GROUP);
        endpoint = member->endpoint;
        until = member->retain_until_usec;
        client = kit_connect(&endpoint->address);
        for (int i = 0; i < 3; i++) {
                member_adopt(member, MEMBER_WEIGHT_DEFAULT);
                cr_assert(eq(int, member->state, MEMBER_LIVE));
                cr_assert(eq(ptr, endpoint_parked_member(endpoint), NULL));
                lease_end(kit_lease(&kit, member, NULL), MEMBER_LEAVE_UNDONE, NULL);
                cr_assert(eq(ptr, endpoint_parked_member(endpoint), member));
                cr_assert(eq(u64, member->retain_until_usec, until));
                cr_assert(zero(int, sd_event_source_get_time(member->retain_timer, &timer)));
                cr_assert(eq(u64, timer, until));
        }
        kit_turn(&kit);
        expect_counts(&kit, 1, 0);
        kit_expect_told(&kit, "");
        /* And its queue is as it was. */
        fd = accept(member->fd, NULL, NULL);
        cr_assert(ge(int, fd, 0));
        close(fd);
        close(client);
        kit_end(&kit);
}

/* After a committed adoption the old time means nothing. */
Test(lease, an_adoption_committed_is_final) {
        Member *member;
        Lease *first, *second;
        Kit kit;

        kit_init(&kit, 1000);
        member = park(&kit, SHARING_SHARED);
        member_adopt(member, MEMBER_WEIGHT_DEFAULT);
        first = kit_lease(&kit, member, NULL);
        lease_commit(first, true);
        kit_expect_told(&kit, "adopted ");
        second = kit_lease(&kit, member, NULL);
        lease_end(first, MEMBER_LEAVE_RELEASED, "done");
        cr_assert(eq(int, member->state, MEMBER_LIVE));
        lease_end(second, MEMBER_LEAVE_UNDONE, NULL);
        kit_expect_told(&kit, "released ");
        expect_counts(&kit, 0, 0);
        kit_end(&kit);
}

/* ---- released and lost -------------------------------------------------------------------------- */

Test(lease, released_keeps_nothing) {
        Lease *lease;
        Kit kit;
        int stray;

        kit_init(&kit, 1000);
        lease = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        stray = fcntl(lease->member->fd, F_DUPFD_CLOEXEC, 3);
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
        expect_counts(&kit, 0, 0);
        kit_expect_told(&kit, "released closed ");
        cr_assert(lt(int, accept(stray, NULL, NULL), 0));
        cr_assert(eq(int, errno, EINVAL));
        close(stray);
        kit_end(&kit);
}

Test(lease, lost_without_retention_keeps_nothing) {
        Kit kit;

        kit_init(&kit, 1000);
        lease_end(kit_acquire(&kit, "udp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0), MEMBER_LEAVE_LOST,
                  "gone");
        expect_counts(&kit, 0, 0);
        kit_expect_told(&kit, "released closed ");
        kit_end(&kit);
}

Test(lease, lost_while_others_of_the_group_live_keeps_nothing) {
        Lease *first, *second;
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        first = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        endpoint = first->member->endpoint;
        second = kit_lease(&kit, kit_join(endpoint), NULL);
        lease_commit(second, false);
        kit_expect_told(&kit, "acquired ");
        lease_end(first, MEMBER_LEAVE_LOST, "gone");
        kit_expect_told(&kit, "released ");
        cr_assert(eq(sz, endpoint->n_members, 1));
        cr_assert(eq(ptr, (void *)endpoint_first_lease(endpoint), second));
        lease_end(second, MEMBER_LEAVE_LOST, "gone");
        kit_expect_told(&kit, "released parked ");
        expect_counts(&kit, 1, 0);
        cr_assert(eq(ptr, (void *)endpoint_first_lease(endpoint), NULL));
        kit_end(&kit);
}

Test(lease, shared_lives_with_its_last_lease) {
        Lease *first, *second;
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        first = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, KIT_RETAIN_USEC);
        member = first->member;
        second = kit_lease(&kit, member, NULL);
        lease_commit(second, false);
        lease_end(first, MEMBER_LEAVE_RELEASED, "done");
        cr_assert(eq(int, member->state, MEMBER_LIVE));
        expect_counts(&kit, 1, 1);
        kit_expect_told(&kit, "acquired released ");
        lease_end(second, MEMBER_LEAVE_LOST, "gone");
        cr_assert(eq(int, member->state, MEMBER_PARKED));
        kit_expect_told(&kit, "released parked ");
        kit_end(&kit);
}

/* Of two clients of one socket, what waits there is the one's who held it last. */
Test(lease, a_parked_member_is_the_last_holder_s) {
        Subject *subject = kit_subject(2000);
        Lease *leases[2];
        LeaseTerms terms;
        Member *member;
        Kit kit;

        for (int last = 0; last < 2; last++) {
                kit_init(&kit, 1000);
                leases[0] = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, KIT_RETAIN_USEC);
                member = leases[0]->member;
                terms = (LeaseTerms){ .subject = subject,
                                      .user = kit.user,
                                      .connection = &kit.connection };
                cr_assert(zero(int, lease_new(&kit.services.leases, member, &terms, &leases[1])));
                lease_commit(leases[1], false);
                lease_end(leases[1 - last], MEMBER_LEAVE_LOST, "gone");
                lease_end(leases[last], MEMBER_LEAVE_LOST, "gone");
                cr_assert(eq(int, member->state, MEMBER_PARKED));
                cr_assert(eq(u32, member->last_holder->uid, last == 0 ? 1000 : 2000));
                kit_end(&kit);
        }
        subject_unref(subject);
        leaks_expect_none();
}

Test(lease, nobody_comes_for_a_parked_member) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = park(&kit, SHARING_GROUP);
        kit_turn(&kit);
        cr_assert(eq(ptr, endpoint_parked_member(only(&kit)), member));
        /* Its time is now. */
        cr_assert(ge(int, sd_event_source_set_time(member->retain_timer, 1), 0));
        kit_turn(&kit);
        expect_counts(&kit, 0, 0);
        kit_expect_told(&kit, "closed ");
        kit_end(&kit);
}

/* The end of an adopted member's old time is not the end of its new life. */
Test(lease, an_adopted_member_has_no_timer) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = park(&kit, SHARING_GROUP);
        cr_assert(ge(int, sd_event_source_set_time(member->retain_timer, 1), 0));
        member_adopt(member, MEMBER_WEIGHT_DEFAULT);
        lease_commit(kit_lease(&kit, member, NULL), true);
        cr_assert(eq(ptr, member->retain_timer, NULL));
        kit_turn(&kit);
        expect_counts(&kit, 1, 1);
        kit_expect_told(&kit, "adopted ");
        kit_end(&kit);
}

Test(lease, what_waited_is_there_for_who_adopts) {
        Member *member;
        int client, fd;
        char byte;
        Kit kit;

        kit_init(&kit, 1000);
        member = park(&kit, SHARING_EXCLUSIVE);
        client = kit_connect(&member->endpoint->address);
        cr_assert(eq(int, (int)write(client, "x", 1), 1));
        member_adopt(member, MEMBER_WEIGHT_DEFAULT);
        lease_commit(kit_lease(&kit, member, NULL), true);
        fd = accept(member->fd, NULL, NULL);
        cr_assert(ge(int, fd, 0));
        cr_assert(eq(int, (int)read(fd, &byte, 1), 1));
        close(fd);
        close(client);
        kit_end(&kit);
}

/* ---- owners ------------------------------------------------------------------------------------- */

Test(lease, the_end_of_a_connection_ends_its_own) {
        LeaseOwner other;
        LeaseTerms terms;
        Member *shared;
        Lease *lease;
        Kit kit;

        kit_init(&kit, 1000);
        LIST_INIT(&other.leases);
        lease_owner_end(&other, MEMBER_LEAVE_LOST, "empty");
        for (int i = 0; i < 3; i++)
                kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), NULL);
        shared = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, 0);
        kit_lease(&kit, shared, NULL);
        terms = (LeaseTerms){ .subject = kit.subject, .user = kit.user, .connection = &other };
        cr_assert(zero(int, lease_new(&kit.services.leases, shared, &terms, &lease)));
        cr_assert(eq(int, lease_lifetime(lease), LIFETIME_CONNECTION));
        expect_counts(&kit, 4, 5);
        lease_owner_end(&kit.connection, MEMBER_LEAVE_LOST, "hang-up");
        expect_counts(&kit, 1, 1);
        cr_assert(eq(ptr, LIST_FIRST(&shared->leases), lease));
        lease_owner_end(&other, MEMBER_LEAVE_LOST, "hang-up");
        expect_counts(&kit, 0, 0);
        kit_end(&kit);
}

Test(lease, those_of_one_end_in_parts) {
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(lease_owner_end_some(&kit.connection, MEMBER_LEAVE_LOST, "empty", 0));
        for (int i = 0; i < 3; i++)
                kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), NULL);
        cr_assert(not(lease_owner_end_some(&kit.connection, MEMBER_LEAVE_LOST, "hang-up", 0)));
        expect_counts(&kit, 2, 2);
        cr_assert(not(lease_owner_end_some(&kit.connection, MEMBER_LEAVE_LOST, "hang-up", 0)));
        cr_assert(lease_owner_end_some(&kit.connection, MEMBER_LEAVE_LOST, "hang-up", 0));
        expect_counts(&kit, 0, 0);
        kit_end(&kit);
}

static int n_revoked, n_released;

static void count_ends(Watcher *watcher, const Event *event) {
        if (strcmp(event->what, "released") != 0)
                return;
        n_revoked += event->revoked;
        n_released += !event->revoked;
}

/* Who follows the events can tell whether it was the holder. */
Test(lease, is_revoked_by_the_broker_alone) {
        Watcher watcher = { .notify = count_ends };
        Kit kit;

        kit_init(&kit, 1000);
        LIST_INSERT_HEAD(&kit.services.hub.watchers, &watcher, entry);
        lease_end(kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), MEMBER_LEAVE_RELEASED,
                  "done");
        kit_expect_told(&kit, "released closed ");
        lease_end(kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), MEMBER_LEAVE_LOST, "gone");
        kit_expect_told(&kit, "released closed ");
        cr_assert(zero(int, n_revoked));
        cr_assert(eq(int, n_released, 2));
        /* Nothing is kept, as of a release. */
        lease_end(kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC),
                  MEMBER_LEAVE_REVOKED, "taken");
        kit_expect_told(&kit, "released closed ");
        kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        lease_registry_deinit(&kit.services.leases, "the broker stops");
        cr_assert(eq(int, n_revoked, 2));
        cr_assert(eq(int, n_released, 2));
        LIST_REMOVE(&watcher, entry);
        kit_end(&kit);
}

Test(lease, the_end_of_the_broker_ends_all) {
        int ends[2];
        Process *process;
        Kit kit;

        kit_init(&kit, 1000);
        lease_registry_deinit(&kit.services.leases, "the broker stops");
        cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
        cr_assert(zero(int, process_new(kit.services.event, ends[0], &process)));
        kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC), process);
        process_unref(process);
        kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), NULL);
        lease_registry_deinit(&kit.services.leases, "the broker stops");
        cr_assert(zero(sz, lease_registry_count(&kit.services.leases)));
        cr_assert(eq(ptr, LIST_FIRST(&kit.connection.leases), NULL));
        close(ends[1]);
        kit_end(&kit);
}

/* A lease may outlive the connection, and its subject and user with it. */
Test(lease, a_lease_of_a_process_keeps_its_subject_and_user) {
        int ends[2];
        Process *process;
        Subject *subject;
        LeaseTerms terms;
        Lease *lease;
        User *user;
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
        /* Readable when "exited", as a pidfd is. */
        cr_assert(zero(int, process_new(kit.services.event, ends[0], &process)));
        subject = kit_subject(2000);
        cr_assert(zero(int, accounts_user(&kit.services.accounts, 2000, &user)));
        terms = (LeaseTerms){
                .subject = subject, .user = user, .connection = &kit.connection, .process = process
        };
        cr_assert(zero(int, lease_new(&kit.services.leases,
                                      kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), &terms,
                                      &lease)));
        lease_commit(lease, false);
        cr_assert(eq(int, lease_lifetime(lease), LIFETIME_PROCESS));
        cr_assert(eq(ptr, LIST_FIRST(&kit.connection.leases), NULL));
        subject_unref(subject);
        user_unref(user);
        process_unref(process);
        cr_assert(eq(u32, lease->subject->uid, 2000));
        cr_assert(eq(sz, lease->charge.user->used[RESOURCE_LEASES], 1));
        kit_turn(&kit);
        expect_counts(&kit, 1, 1);
        cr_assert(eq(int, (int)write(ends[1], "", 1), 1));
        kit_turn(&kit);
        expect_counts(&kit, 0, 0);
        close(ends[1]);
        kit_end(&kit);
}

/* ---- by process ---------------------------------------------------------------------------------- */

static size_t count_of(const Kit *kit, uid_t uid, pid_t pid) {
        const Subject subject = { .uid = uid, .pid = pid };
        const LeaseClient *client = lease_client_find(&kit->services.leases, &subject);
        const Lease *lease;
        size_t n = 0;

        if (client)
                LIST_FOREACH (lease, &client->leases, by_client) {
                        cr_assert(lease->subject->pid == pid && lease->subject->uid == uid);
                        n++;
                }
        return n;
}

static Lease *lease_of(Kit *kit, Subject *subject, Member *member) {
        LeaseTerms terms = { .subject = subject, .user = kit->user, .connection = &kit->connection };
        Lease *lease;

        cr_assert(zero(int, lease_new(&kit->services.leases, member, &terms, &lease)));
        return lease;
}

Test(lease, nobody_is_found_by_no_number) {
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(sz, count_of(&kit, 1000, 7)));
        kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, 0);
        cr_assert(zero(sz, count_of(&kit, 1000, 0)));
        cr_assert(zero(sz, count_of(&kit, 1000, 7)));
        kit_end(&kit);
}

/* Over however many connections; but the number alone is not the process. */
Test(lease, found_by_process) {
        Subject *one, *again, *other;
        Lease *leases[3];
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        one = kit_subject(1000);
        again = kit_subject(1000);
        other = kit_subject(1001);
        one->pid = again->pid = other->pid = 7;
        member = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, 0);
        leases[0] = lease_of(&kit, one, member);
        leases[1] = lease_of(&kit, again, member);
        leases[2] = lease_of(&kit, other, member);
        cr_assert(eq(sz, count_of(&kit, 1000, 7), 2));
        cr_assert(eq(sz, count_of(&kit, 1001, 7), 1));
        cr_assert(zero(sz, count_of(&kit, 1000, 8)));
        lease_end(leases[0], MEMBER_LEAVE_RELEASED, "done");
        cr_assert(eq(sz, count_of(&kit, 1000, 7), 1));
        /* To who took it up after a broker was lost. */
        again->pid = 8;
        lease_move(leases[1], &kit.connection, NULL, other);
        cr_assert(zero(sz, count_of(&kit, 1000, 7)));
        cr_assert(eq(sz, count_of(&kit, 1001, 7), 2));
        lease_end(leases[1], MEMBER_LEAVE_RELEASED, "done");
        lease_end(leases[2], MEMBER_LEAVE_RELEASED, "done");
        cr_assert(eq(ptr, kit.services.leases.clients, NULL));
        subject_unref(one);
        subject_unref(again);
        subject_unref(other);
        kit_end(&kit);
}
