/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Open files under any numbers and names, handed to a program as LISTEN_FDS: libsystemd, which reads
 * the convention for most, must find each file in its place under its name, and so must our own reader.
 * The two must also read alike what no writer of ours would write: the names as they are, colons,
 * backslashes and all.
 *
 * Each line of the input is a name. The last one is the order: its bytes say which file comes next.
 */

#include "tools/listen-environment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "proto/listen-fds.h"
#include "tests/fuzz/fuzz.h"

enum {
        NAMES_MAX = 12,
        FUZZ_NAMES_SIZE = 4096,
        /* Numbers up to here are free, so that files can be placed there. */
        END = LISTEN_ENVIRONMENT_FIRST + 2 * NAMES_MAX + 8,
};

typedef struct Names {
        char *texts[NAMES_MAX];
        size_t n;
} Names;

static void names_read(Names *names, FuzzInput *input) {
        *names = (Names){ 0 };
        while (names->n < NAMES_MAX && input->n > 0 && memchr(input->data, '\n', input->n)) {
                FuzzInput name = fuzz_cut(input, '\n');

                names->texts[names->n++] = fuzz_copy(name.data, name.n);
        }
}

static void names_free(Names *names) {
        for (size_t i = 0; i < names->n; i++)
                free(names->texts[i]);
}

/* What a reader of the environment must find. */
static const char *name_expected(const char *name) {
        static const char letters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

        return *name && !name[strspn(name, letters)] ? name : "unknown";
}

/* @n files, told apart by @inodes, under numbers in the order that @order says. */
static void files_open(int *fds, ino_t *inodes, size_t n, FuzzInput *order) {
        struct stat st;
        size_t i, j;
        int fd;

        for (i = 0; i < n; i++) {
                fds[i] = memfd_create("fuzz-listen-fds", MFD_CLOEXEC);
                fuzz_expect(fds[i] >= LISTEN_ENVIRONMENT_FIRST && fds[i] < END);
        }
        for (i = n; i > 1; i--) {
                j = fuzz_byte(order) % i;
                fd = fds[j];
                fds[j] = fds[i - 1];
                fds[i - 1] = fd;
        }
        for (i = 0; i < n; i++) {
                fuzz_expect(fstat(fds[i], &st) == 0);
                inodes[i] = st.st_ino;
        }
}

static void expect_placed(const int *fds, const ino_t *inodes, size_t n) {
        struct stat st;

        for (size_t i = 0; i < n; i++) {
                fuzz_expect(fds[i] == LISTEN_ENVIRONMENT_FIRST + (int)i);
                fuzz_expect(fstat(fds[i], &st) == 0 && st.st_ino == inodes[i]);
                fuzz_expect(fcntl(fds[i], F_GETFD) == 0);
        }
}

static void expect_read_here(const Names *names) {
        ListenFds read;

        fuzz_expect(listen_fds_take(false, &read) == 0 && read.n == names->n);
        for (size_t i = 0; i < names->n; i++)
                fuzz_expect(strcmp(read.names[i], name_expected(names->texts[i])) == 0);
        listen_fds_deinit(&read);
}

static void expect_read(const Names *names) {
        char **read = NULL;

        expect_read_here(names);
        fuzz_expect(sd_listen_fds_with_names(1, &read) == (int)names->n);
        fuzz_expect(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
        for (size_t i = 0; i < names->n; i++) {
                fuzz_expect(strcmp(read[i], name_expected(names->texts[i])) == 0);
                free(read[i]);
        }
        free(read);
}

/* The names as they are, with colons in between. They are nothing at all in one case alone, where there
 * are no names to libsystemd, and all are unknown here. */
static void expect_read_alike(const Names *names) {
        char joined[FUZZ_NAMES_SIZE] = "", **read = NULL;
        ListenFds here = { 0 };
        size_t n = 0;
        int r, expected;

        for (size_t i = 0; i < names->n && n < sizeof(joined); i++)
                n += (size_t)snprintf(joined + n, sizeof(joined) - n, "%s%s", i > 0 ? ":" : "",
                                      names->texts[i]);
        if (n == 0 || n >= sizeof(joined))
                return;
        fuzz_expect(setenv("LISTEN_FDNAMES", joined, 1) == 0);
        r = listen_fds_take(false, &here);
        expected = sd_listen_fds_with_names(0, &read);
        fuzz_expect(expected < 0 ? r == LISTEN_FDS_E_NAMES : r == 0 && here.n == (size_t)expected);
        for (int i = 0; i < expected; i++) {
                fuzz_expect(strcmp(here.names[i], read[i]) == 0);
                free(read[i]);
        }
        free(read);
        listen_fds_deinit(&here);
}

/* As many words as there are leases, whatever they are called. */
static void expect_leases(const Names *names) {
        const char *const *texts = (const char *const *)names->texts;
        const char *leases;
        size_t n = 0;

        fuzz_expect(listen_environment_set_leases(texts, names->n) == 0);
        leases = getenv("REUSE_LEASES");
        fuzz_expect(leases);
        for (const char *p = leases; *p; p++)
                n += *p == ' ';
        fuzz_expect(n + 1 == names->n);
        fuzz_expect(!strpbrk(leases, "\n\t\\:"));
        fuzz_expect(unsetenv("REUSE_LEASES") == 0);
}

/* The numbers that files are placed at are taken between two inputs, so that nobody else has one. */
static void numbers_take(void) {
        int fd;

        do
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        while (fd >= 0 && fd < END - 1);
        fuzz_expect(fd == END - 1);
}

static void numbers_give(void) {
        for (int i = LISTEN_ENVIRONMENT_FIRST; i < END; i++)
                fuzz_expect(close(i) == 0);
}

static void try_names(const Names *names, FuzzInput *order) {
        int fds[NAMES_MAX], kept;
        ino_t inodes[NAMES_MAX];

        files_open(fds, inodes, names->n, order);
        fuzz_expect(listen_environment_place(fds, names->n) == 0);
        expect_placed(fds, inodes, names->n);
        kept = listen_environment_keep(STDERR_FILENO, names->n);
        fuzz_expect(kept >= LISTEN_ENVIRONMENT_FIRST + (int)names->n && fcntl(kept, F_GETFD) == 0);
        close(kept);
        fuzz_expect(listen_environment_set(getpid(), (const char *const *)names->texts, names->n) == 0);
        expect_read_alike(names);
        fuzz_expect(listen_environment_set(getpid(), (const char *const *)names->texts, names->n) == 0);
        expect_read(names);
        expect_leases(names);
        for (size_t i = 0; i < names->n; i++)
                close(fds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        FuzzInput input = { (const char *)data, size };
        int n_fds = fuzz_count_fds();
        Names names;

        names_read(&names, &input);
        numbers_give();
        /* libsystemd takes no less than one. */
        if (names.n > 0)
                try_names(&names, &input);
        numbers_take();
        names_free(&names);
        fuzz_expect(fuzz_count_fds() == n_fds);
        return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        numbers_take();
        return 0;
}
