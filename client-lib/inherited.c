/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The sockets that a program was started with, by whatever started it: `reusectl run`, systemd, a
 * script. proto/listen-fds.c reads what the parent says; here each descriptor has an owner until it is
 * taken.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/internal.h"
#include "proto/listen-fds.h"

struct reuse_inherited {
        ListenFds passed;
        int fds[]; /* -1 once taken */
};

static int passed_refused(int answer, reuse_error **ret_error) {
        switch (answer) {
        case LISTEN_FDS_E_PROCESS:
                return reuse_error_set(ret_error, -EINVAL,
                                       "LISTEN_PID or LISTEN_PIDFDID is not the number of a process");
        case LISTEN_FDS_E_COUNT:
                return reuse_error_set(ret_error, -EINVAL, "LISTEN_FDS is not a number of descriptors");
        case LISTEN_FDS_E_NOT_OPEN:
                return reuse_error_set(
                        ret_error, -EBADF,
                        "LISTEN_FDS says that more descriptors were passed than are open");
        case LISTEN_FDS_E_NAMES:
                return reuse_error_set(ret_error, -EINVAL,
                                       "LISTEN_FDNAMES has not as many names as LISTEN_FDS says");
        default:
                return answer;
        }
}

_public_ int reuse_inherited_new(uint32_t flags, reuse_inherited **ret, reuse_error **ret_error) {
        _cleanup_(listen_fds_deinit) ListenFds passed = { 0 };
        reuse_inherited *inherited;
        int r;

        reuse_error_clear(ret_error);
        if (!ret || flags & ~REUSE_INHERITED_UNSET)
                return reuse_error_set(ret_error, -EINVAL, "a place for the result is needed");
        r = listen_fds_take(flags & REUSE_INHERITED_UNSET, &passed);
        if (r != 0)
                return passed_refused(r, ret_error);
        inherited = malloc(sizeof(*inherited) + passed.n * sizeof(int));
        if (!inherited)
                return -ENOMEM;
        for (size_t i = 0; i < passed.n; i++)
                inherited->fds[i] = LISTEN_FDS_FIRST + (int)i;
        inherited->passed = passed;
        passed = (ListenFds){ 0 };
        *ret = inherited;
        return 0;
}

_public_ reuse_inherited *reuse_inherited_free(reuse_inherited *inherited) {
        if (!inherited)
                return NULL;
        for (size_t i = 0; i < inherited->passed.n; i++)
                fd_close(inherited->fds[i]);
        listen_fds_deinit(&inherited->passed);
        free(inherited);
        return NULL;
}

_public_ size_t reuse_inherited_count(const reuse_inherited *inherited) {
        return inherited ? inherited->passed.n : 0;
}

_public_ int reuse_inherited_get_fd(const reuse_inherited *inherited, size_t index) {
        if (index >= reuse_inherited_count(inherited))
                return -EINVAL;
        return inherited->fds[index] < 0 ? -EBADF : inherited->fds[index];
}

_public_ int reuse_inherited_take_fd(reuse_inherited *inherited, size_t index) {
        if (index >= reuse_inherited_count(inherited))
                return -EINVAL;
        return inherited->fds[index] < 0 ? -EBADF : fd_take(&inherited->fds[index]);
}

_public_ const char *reuse_inherited_get_name(const reuse_inherited *inherited, size_t index) {
        return index < reuse_inherited_count(inherited) ? inherited->passed.names[index] : NULL;
}

_public_ int reuse_inherited_find(const reuse_inherited *inherited, const char *name) {
        if (!inherited || !name)
                return -EINVAL;
        for (size_t i = 0; i < inherited->passed.n; i++)
                if (inherited->fds[i] >= 0 && strcmp(inherited->passed.names[i], name) == 0)
                        return (int)i;
        return -ENOENT;
}
