/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * replay FOLDER: gives each file of the corpus to the entry of a fuzz-*.c, as libFuzzer does. So every
 * input that once was of interest is tried by the ordinary tests, with any compiler. Nothing is open
 * meanwhile but what the fuzz-*.c opens.
 */

#include <fcntl.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/fuzz/fuzz.h"

enum {
        INPUT_SIZE_MAX = 1 << 20,
};

/* NOLINTNEXTLINE(readability-redundant-declaration): here it is weak */
extern int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* Returns false if there is no such file. */
static bool replay_file(const char *folder, const char *name) {
        static char buffer[INPUT_SIZE_MAX];
        _cleanup_(freep) char *path = NULL;
        _cleanup_(freep) uint8_t *data = NULL;
        ssize_t n = -1;
        int fd;

        fuzz_expect(asprintf(&path, "%s/%s", folder, name) > 0);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
                n = read(fd, buffer, sizeof(buffer));
        fd_close(fd);
        if (n < 0) {
                perror(path);
                return false;
        }
        /* On its own, for the sanitizer to know where it ends. */
        data = malloc((size_t)n);
        fuzz_expect(data || n == 0);
        if (n > 0)
                memcpy(data, buffer, (size_t)n);
        printf("%s\n", name);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, (size_t)n);
        return true;
}

static int entry_is_visible(const struct dirent *entry) {
        return entry->d_name[0] != '.';
}

int main(int argc, char **argv) {
        const char *folder = argc == 2 ? argv[1] : "";
        struct dirent **entries = NULL;
        int n = scandir(folder, &entries, entry_is_visible, alphasort), n_bad = 0;

        if (n <= 0) {
                fprintf(stderr, "replay: \"%s\" is no folder with files in it\n", folder);
                return EXIT_FAILURE;
        }
        if (LLVMFuzzerInitialize)
                LLVMFuzzerInitialize(&argc, &argv);
        for (int i = 0; i < n; i++) {
                n_bad += !replay_file(folder, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        printf("%d inputs\n", n - n_bad);
        return n_bad > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
