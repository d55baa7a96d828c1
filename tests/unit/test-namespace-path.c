/* SPDX-License-Identifier: BSD-2-Clause */

/* What names a network namespace, and who could make the name lead elsewhere. */

#include "daemon/namespace-path.h"

#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/namespace-kit.h"

TestSuite(namespace_path, .timeout = 60);

static char reason[NAMESPACE_REASON_MAX];

/* ---- texts -------------------------------------------------------------------------------------- */

Test(namespace_path, texts_that_name_none) {
        static const char *const texts[] = {
                "",    ".",      "..",      "a/b", "./a", "../a", "/",     "//",        "/a//b",
                "/a/", "/a/./b", "/a/../b", "/..", "a b", "a\n",  "a\x7f", "/run/ne t", "/run/netns/"
        };
        char path[NAMESPACE_PATH_MAX], text[NAMESPACE_SIZE_MAX + 2];

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                cr_assert(ne(ptr, (void *)namespace_path_parse(texts[i], path), NULL), "\"%s\"",
                          texts[i]);
        memset(text, 'x', sizeof(text));
        text[0] = '/';
        text[sizeof(text) - 1] = '\0';
        cr_assert(ne(ptr, (void *)namespace_path_parse(text, path), NULL));
        text[sizeof(text) - 2] = '\0';
        cr_assert(zero(ptr, (void *)namespace_path_parse(text, path)));
}

Test(namespace_path, one_spelling_for_each) {
        static const struct {
                const char *text, *path, *called;
        } rows[] = {
                { "blue", "/run/netns/blue", "blue" },
                { "/run/netns/blue", "/run/netns/blue", "blue" },
                { "cni-1234..x", "/run/netns/cni-1234..x", "cni-1234..x" },
                { "...", "/run/netns/...", "..." },
                { "/run/netns/a/b", "/run/netns/a/b", "/run/netns/a/b" },
                { "/run/netnsx", "/run/netnsx", "/run/netnsx" },
                { "/a", "/a", "/a" },
        };
        char path[NAMESPACE_PATH_MAX];

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                cr_assert(zero(ptr, (void *)namespace_path_parse(rows[i].text, path)), "%s",
                          rows[i].text);
                cr_assert(eq(str, path, (char *)rows[i].path));
                cr_assert(eq(str, (char *)namespace_path_text(path), (char *)rows[i].called));
        }
}

/* ---- files -------------------------------------------------------------------------------------- */

/* The reason names the part that is at fault. */
static void expect_refused(const char *path, const char *part, const char *words) {
        int n_fds = leaks_count_fds(), fd = -1;

        reason[0] = '\0';
        cr_assert(eq(int, namespace_path_open(path, &fd, reason), NAMESPACE_PATH_E_INVALID), "%s", path);
        cr_assert(eq(int, fd, -1));
        cr_assert(strncmp(reason, part, strlen(part)) == 0 && strstr(reason, words), "%s: %s", path,
                  reason);
        cr_assert(eq(int, leaks_count_fds(), n_fds));
}

static void write_file(const char *path) {
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

        cr_assert(ge(int, fd, 0));
        close(fd);
}

Test(namespace_path, what_is_no_namespace) {
        namespace_kit_begin();
        expect_refused("/run/netns/no", "/run/netns/no", "is not there");
        expect_refused("/no/such/folder", "/no", "is not there");
        write_file("/run/netns/file");
        expect_refused("/run/netns/file", "/run/netns/file", "is no network namespace");
        expect_refused("/run/netns/file/x", "/run/netns/file", "is no folder");
        expect_refused("/run/netns", "/run/netns", "is no network namespace");
        cr_assert(zero(int, mkfifo("/run/netns/pipe", 0666)));
        expect_refused("/run/netns/pipe", "/run/netns/pipe", "is no network namespace");
        /* A namespace, but of something else. */
        cr_assert(zero(int, mount("/proc/self/ns/uts", "/run/netns/file", NULL, MS_BIND, NULL)));
        expect_refused("/run/netns/file", "/run/netns/file", "is no network namespace");
}

Test(namespace_path, a_link_anywhere_is_refused) {
        namespace_kit_begin();
        namespace_kit_add("blue");
        cr_assert(zero(int, symlink("blue", "/run/netns/link")));
        cr_assert(zero(int, symlink("netns", "/run/folder")));
        expect_refused("/run/netns/link", "/run/netns/link", "is a symbolic link");
        expect_refused("/run/folder/blue", "/run/folder", "is a symbolic link");
        expect_refused("/proc/self/ns/net", "/proc/self", "is a symbolic link");
        expect_refused("/proc/1/ns/net", "/proc/1/ns/net", "");
}

Test(namespace_path, a_folder_that_others_may_change) {
        static const mode_t modes[] = { 0777, 01777, 0775, 0757 };

        namespace_kit_begin();
        cr_assert(zero(int, mkdir("/run/open", 0755)));
        cr_assert(zero(int, mkdir("/run/open/deep", 0755)));
        namespace_kit_add_at("/run/open/blue");
        namespace_kit_add_at("/run/open/deep/blue");
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                cr_assert(zero(int, chmod("/run/open", modes[i])));
                expect_refused("/run/open/blue", "/run/open is", "others than root");
                expect_refused("/run/open/deep/blue", "/run/open is", "others than root");
        }
        cr_assert(zero(int, chmod("/run/open", 0755)));
        cr_assert(zero(int, chown("/run/open", 65534, 0)));
        expect_refused("/run/open/blue", "/run/open is", "others than root");
        /* Not even who looks. */
        cr_assert(zero(int, seteuid(65534)));
        expect_refused("/run/open/blue", "/run/open is", "others than root");
        cr_assert(zero(int, seteuid(0)));
        cr_assert(zero(int, chown("/run/open", 0, 0)));
        cr_assert(zero(int, chmod("/run/open", 0700)));
        cr_assert(zero(int, seteuid(65534)));
        expect_refused("/run/open/blue", "/run/open/blue", "cannot be looked at");
        cr_assert(zero(int, seteuid(0)));
}

Test(namespace_path, a_namespace_is_opened) {
        int fd = -1;

        namespace_kit_begin();
        namespace_kit_add("blue");
        cr_assert(zero(int, namespace_path_open("/run/netns/blue", &fd, reason)), "%s", reason);
        cr_assert(ge(int, fd, 0));
        cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
        close(fd);
}
