/* SPDX-License-Identifier: BSD-2-Clause */

/* Broken configuration files: where each error is said to be, and that nothing crashes. */

#include "tests/unit/config-kit.h"

TestSuite(config_errors, .init = setup, .fini = cleanup, .timeout = 60);

Test(config_errors, refusals_name_file_and_line) {
        static const struct {
                const char *text, *line, *what;
        } rows[] = {
                /* Structure. */
                { "Port=80\n", "1: ", "Port= stands before any section" },
                { "\n# x\n; y\nSocketMode=0600\n[Broker]\n", "4: ", "stands before any section" },
                { "[Server]\n", "1: ", "unknown section [Server]; there are [Broker] and [Rule NAME]" },
                { "[broker]\n", "1: ", "unknown section [broker]" },
                { "[Brokers]\n", "1: ", "unknown section" },
                { "[]\n", "1: ", "unknown section []" },
                { "[Rule]\n", "1: ", "unknown section [Rule]" },
                { "\n[Rules x]\nUser=*\n", "2: ", "unknown section" },
                { "[rule x]\nUser=*\n", "1: ", "unknown section" },
                { "[Rule ]\nUser=*\n", "1: ", "no name of a rule" },
                { "[Rule a b]\nUser=*\n", "1: ", "\"a b\" is no name of a rule" },
                { "[Rule  a]\nUser=*\n", "1: ", "no name of a rule" },
                { "[Rule a/b]\nUser=*\n", "1: ", "no name of a rule" },
                { "[Rule \xc3\xa4]\nUser=*\n", "1: ", "no name of a rule" },
                { "[Rule " NAME64 "e]\nUser=*\n", "1: ", "no name of a rule; give 1 to 64" },
                { "[Rule x\nUser=*\n", "1: ", "no section" },
                { "[Rule x] User=*\n", "1: ", "no section" },
                { "[Broker][Rule x]\n", "1: ", "no section" },
                { "[\n", "1: ", "no section" },
                { "[Broker]\nfoo\n", "2: ", "neither KEY=VALUE" },
                { "[Broker]\nfoo\nMaxConnections=0\n", "2: ", "neither KEY=VALUE" },
                { "[Broker]\nMaxConnections=0\nfoo\n", "2: ", "MaxConnections=" },
                { "[Broker]\nfoo\n[Nothing]\n", "2: ", "neither KEY=VALUE" },
                { "[Rule x]\nfoo\n", "2: ", "neither KEY=VALUE" },
                { "[Broker]\n=5\n", "2: ", "unknown key" },
                { "[Broker]\n]\n", "2: ", "neither KEY=VALUE" },
                { "[Rule x]\nUser=*\n\n[Rule x]\nUser=*\n",
                  "4: ", "main.conf:1; give this one another name" },
                { "[Rule x]\nUser=*\n[Broker]\n[Rule x]\n", "4: ", "there is a [Rule x] already" },
                /* A rule for nobody. */
                { "[Rule x]\n", "1: ", "[Rule x] says for nobody" },
                { "[Rule x]", "1: ", "[Rule x] says for nobody" },
                { "\n[Rule x]\nPort=80\n[Rule y]\nUser=*\n", "2: ", "add User= or Group=" },
                { "[Rule x]\nPort=80\n[Broker]\n", "1: ", "says for nobody" },
                { "[Rule x]\nUser=1\nUser=\n\n\n", "1: ", "says for nobody" },
                /* Ports that only vsock has. */
                { "[Rule x]\nUser=*\nPort=65536\n", "1: ", "add Network=vsock" },
                { "[Rule x]\nUser=*\nNetwork=*\nPort=80 70000-70001\n", "1: ", "add Network=vsock" },
                { "[Rule x]\nUser=*\nNetwork=tcp unix\nPort=65536\n", "1: ", "of vsock alone" },
                /* Keys. */
                { "[Broker]\nsocketmode=0600\n",
                  "2: ", "socketmode=: unknown key; did you mean SocketMode=?" },
                { "[Broker]\n\nPort=80\n", "3: ", "Port=: unknown key in this section" },
                { "[Broker]\nRetain=10\n", "2: ", "unknown key" },
                { "[Rule x]\nUser=*\nRetainSec=1\n", "3: ", "RetainSec=: unknown key" },
                { "[Rule x]\nUser=*\nSocketMode=0800\n",
                  "3: ", "SocketMode=: \"0800\" is no file mode" },
                { "[Rule x]\nuser=*\n", "2: ", "did you mean User=?" },
                /* Values of [Broker]. */
                { "[Broker]\nSocketMode=0800\n", "2: ", "SocketMode=: \"0800\" is no file mode" },
                { "[Broker]\nSocketMode=01000\n", "2: ", "octal number of 0 to 0777" },
                { "[Broker]\nSocketMode=rw\n", "2: ", "no file mode" },
                { "[Broker]\nSocketMode=-1\n", "2: ", "no file mode" },
                { "[Broker]\nSocketMode=0600 0\n", "2: ", "no file mode" },
                { "[Broker]\nSocketMode=7777777777777777777777777\n", "2: ", "no file mode" },
                { "[Broker]\nUser=no-such-user\n", "2: ", "User=: there is no user \"no-such-user\"" },
                { "[Broker]\nUser=root daemon\n", "2: ", "User=: there is no user" },
                { "[Broker]\nUser=*\n", "2: ", "User=: there is no user" },
                { "[Broker]\nUser=-1\n", "2: ", "User=: there is no user" },
                { "[Broker]\nUser=4294967295\n", "2: ", "User=: there is no user" },
                { "[Broker]\nUser=4294967294\n",
                  "2: ", "User=: there is no user with the number 4294967294" },
                { "[Broker]\nSocketGroup=no-such-group\n", "2: ", "SocketGroup=: there is no group" },
                { "[Broker]\nSocketGroup=*\n", "2: ", "there is no group \"*\"" },
                { "[Broker]\nSocketGroup=4294967295\n", "2: ", "there is no group" },
                { "[Broker]\nRetainSec=ten\n", "2: ", "RetainSec=: \"ten\" is no time span" },
                { "[Broker]\nRetainSec=10x\n", "2: ", "no time span" },
                { "[Broker]\nRetainSec=-1\n", "2: ", "no time span" },
                { "[Broker]\nRetainSec=1.5s\n", "2: ", "no time span" },
                { "[Broker]\nRetainSec=10 S\n", "2: ", "no time span" },
                { "[Broker]\nRetainSec=infinity\n", "2: ", "no time span" },
                { "[Broker]\nRetainSec=86401\n", "2: ", "longer than a day" },
                { "[Broker]\nRetainSec=25h\n", "2: ", "longer than a day" },
                { "[Broker]\nRetainSec=24h 1us\n", "2: ", "longer than a day" },
                { "[Broker]\nRetainSec=18446744073709551616\n", "2: ", "longer than a day" },
                { "[Broker]\nRetainSec=18446744073709551us\n", "2: ", "longer than a day" },
                { "[Broker]\nMaxConnections=0\n",
                  "2: ", "MaxConnections=: \"0\" is no number of 1 to 1000000" },
                { "[Broker]\nMaxConnections=1000001\n", "2: ", "1 to 1000000" },
                { "[Broker]\nMaxConnections=many\n", "2: ", "1 to 1000000" },
                { "[Broker]\nMaxConnections=1 2\n", "2: ", "1 to 1000000" },
                { "[Broker]\nMaxConnectionsPerUser=-5\n", "2: ", "MaxConnectionsPerUser=:" },
                { "[Broker]\nMaxConnectionsPerUser=0x10\n", "2: ", "1 to 1000000" },
                { "[Broker]\nMaxLeasesPerUser=99999999999999999999999\n", "2: ", "MaxLeasesPerUser=:" },
                /* Values of [Rule]. */
                { "[Rule x]\nUser=no-such-user\n", "2: ", "User=: there is no user \"no-such-user\"" },
                { "[Rule x]\nUser=*\nGroup=no-such-group\n", "3: ", "Group=: there is no group" },
                { "[Rule x]\nUser=*\nNetwork=quic\n", "3: ", "Network=: \"quic\" is none of tcp" },
                { "[Rule x]\nUser=*\n\n\nAddress=10.0.0.1/8\n",
                  "5: ", "Address=: 10.0.0.1/8 has bits set" },
                { "[Rule x]\nUser=*\nPort=http\n", "3: ", "Port=: \"http\" is no port" },
                { "[Rule x]\nUser=*\nPath=run/x\n", "3: ", "Path=: \"run/x\" is no path" },
                { "[Rule x]\nUser=*\nSharing=none\n", "3: ", "Sharing=: \"none\" is none of" },
                { "[Rule x]\nUser=*\nOptions=backlog\n", "3: ", "Options=: \"backlog\" is none of" },
                { "[Rule x]\nUser=*\nAllow=maybe\n", "3: ", "Allow=: \"maybe\" is none of" },
                /* An indented line is a line of its own. */
                { "[Rule x]\nUser=*\n  Port=http\n", "3: ", "Port=: \"http\" is no port" },
                { "[Rule x]\nUser=*\n\tbob\n", "3: ", "neither KEY=VALUE" },
                { "[Rule x]\r\nUser=*\r\nPort=http\r\n", "3: ", "\"http\" is no port" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                int n_fds = leaks_count_fds();

                write_main(rows[i].text);
                expect_refusal("main.conf", rows[i].line, rows[i].what);
                leaks_expect_fds(n_fds);
        }
}

Test(config_errors, long_lines_are_refused) {
        char line[201];

        /* What is beyond the limit must not become a line of its own. */
        write_main("[Rule x]\n#" HUNDRED HUNDRED "\nUser=*\n");
        expect_refusal("main.conf", "2: ", "longer than 199 bytes");
        write_main("[Rule " HUNDRED HUNDRED "]\n");
        expect_refusal("main.conf", "1: ", "longer than 199 bytes");
        write_main("[Rule x]\nUser=*\nPort=80 " HUNDRED HUNDRED HUNDRED);
        expect_refusal("main.conf", "3: ", "longer than 199 bytes");

        memset(line, '#', sizeof(line) - 1);
        line[200] = '\0';
        write_main(line);
        expect_refusal("main.conf", "1: ", "longer than 199 bytes");

        /* 199 bytes fit, and blanks before them do not count. */
        line[199] = '\0';
        write_main(line);
        config_free(load());
        line[199] = '#';
        line[0] = ' ';
        write_main(line);
        config_free(load());
}

Test(config_errors, nul_bytes_are_refused) {
        static const char in_line[] = "[Rule x]\nUser=*\nPort=80\0,81\n",
                          alone[] = "[Rule x]\nUser=*\n\0", in_section[] = "[Rule x\0]\n";

        write_bytes(main_file, in_line, sizeof(in_line) - 1);
        expect_refusal("main.conf", "3: ", "NUL byte");
        write_bytes(main_file, alone, sizeof(alone) - 1);
        expect_refusal("main.conf", "3: ", "NUL byte");
        write_bytes(main_file, in_section, sizeof(in_section) - 1);
        expect_refusal("main.conf", "1: ", "NUL byte");
}

Test(config_errors, files_that_cannot_be_read) {
        _cleanup_(freep) char *reason = NULL, *of_load = NULL;
        int n_fds = leaks_count_fds();
        Config *config = NULL;
        char path[128];

        expect_refusal("main.conf", " ", "cannot be opened: No such file or directory");

        cr_assert(eq(int, config_load(main_file, true, 1000, &config, &of_load), CONFIG_E_INVALID));
        cr_assert(ne(ptr, strstr(of_load, "main.conf: cannot be opened"), NULL));

        cr_assert(zero(int, mkdir(main_file, 0700)));
        expect_refusal("main.conf", " ", "cannot be read: Is a directory");
        cr_assert(zero(int, rmdir(main_file)));

        /* What is listed must be there: a dangling link is a mistake, not an absent file. */
        write_main("");
        snprintf(path, sizeof(path), "%s/10-link.conf", drop_in_folder);
        cr_assert(zero(int, symlink("/nonexistent", path)));
        expect_refusal("main.conf.d/10-link.conf", " ", "No such file");
        cr_assert(zero(int, unlink(path)));

        snprintf(path, sizeof(path), "%s/10-folder.conf", drop_in_folder);
        cr_assert(zero(int, mkdir(path, 0700)));
        expect_refusal("main.conf.d/10-folder.conf", " ", "Is a directory");
        cr_assert(zero(int, rmdir(path)));

        cr_assert(eq(int, config_load_from(NULL, main_file, false, 1000, &config, &reason),
                     CONFIG_E_INVALID));
        cr_assert(ne(ptr, strstr(reason, "Not a directory"), NULL));
        leaks_expect_fds(n_fds);
}

Test(config_errors, errors_of_drop_in_files) {
        write_main("[Broker]\nMaxConnections=5\n\n\n\n[Rule x]\nUser=*\n");
        write_drop_in("10-a.conf", "[Rule y]\nUser=*\n");
        write_drop_in("20-b.conf", "Port=80\n");
        expect_refusal("main.conf.d/20-b.conf", "1: ", "stands before any section");

        write_drop_in("20-b.conf", "#\n[Rule x]\nUser=*\n");
        expect_refusal("main.conf.d/20-b.conf", "2: ", "main.conf:6; give");

        write_drop_in("20-b.conf", "[Rule y]\nUser=*\n");
        expect_refusal("main.conf.d/20-b.conf", "1: ", "10-a.conf:1; give");

        /* The first error, in the order of the files. */
        write_drop_in("05-c.conf", "[Rule z]\n");
        expect_refusal("main.conf.d/05-c.conf", "1: ", "says for nobody");
        write_main("x\n");
        expect_refusal("main.conf", "1: ", "neither KEY=VALUE");
}

/* What an observer was told, a line each. */
static void note_read(void *userdata, const char *file) {
        fprintf(userdata, "read %s\n", file);
}

static void note_wrong(void *userdata, const char *reason) {
        fprintf(userdata, "%s\n", reason);
}

static void expect_told(const char *text, int expected, const char *const told[]) {
        _cleanup_(freep) char *all = NULL, *reason = NULL;
        ConfigObserver observer = { .read = note_read, .wrong = note_wrong };
        const char *at, *first = NULL;
        Config *config = NULL;
        size_t size;

        write_main(text);
        observer.userdata = open_memstream(&all, &size);
        cr_assert(eq(int, config_load_observed(main_file, false, 1000, &observer, &config, &reason),
                     expected));
        cr_assert(zero(int, fclose(observer.userdata)));
        cr_assert(zero(int, strncmp(all, "read ", 5)));
        at = all;
        for (size_t i = 0; told[i]; i++) {
                at = strchr(at, '\n') + 1;
                cr_assert(zero(int, strncmp(at, main_file, strlen(main_file))), "%s", all);
                cr_assert(zero(int, strncmp(at + strlen(main_file), told[i], strlen(told[i]))),
                          "%s; expected: %s", at, told[i]);
                first = first ?: at;
        }
        cr_assert(strcmp(strchr(at, '\n'), "\n") == 0, "more than expected: %s", all);
        if (first)
                cr_assert(zero(int, strncmp(first, reason, strlen(reason))));
        config_free(config);
}

/* All in the order of the lines, and none that only follows from another. */
Test(config_errors, all_that_is_wrong_is_told) {
        expect_told("MaxConnections=5\nMaxLeases=5\n[Broker]\nSocketmode=0600\nfoo\nRetainSec=never\n",
                    CONFIG_E_INVALID,
                    (const char *const[]){ ":1: MaxConnections= stands before any section",
                                           ":4: Socketmode=", ":5: neither", ":6: RetainSec=", NULL });
        /* A rule with a mistake is not told what it lacks, nor what is in a section of no name. */
        expect_told("[Rule a]\nUser=no-such-user-here\n[Rulez b]\nfoo=1\n[Rule c d]\nfoo=1\n[Rule e]\n"
                    "Port=80\n[Rule a]\nfoo=1\nbar\n[Rule f]\nUser=*\nShareWith=no-such-user-here\n",
                    CONFIG_E_INVALID,
                    (const char *const[]){ ":2: User=", ":3: unknown section", ":5: \"c d\" is no name",
                                           ":7: [Rule e] says for nobody", ":9: there is a [Rule a]",
                                           ":11: neither", NULL });
        /* Where it is no text file, the rest is not looked at. */
        expect_told("[Broker]\nfoo\nx" HUNDRED HUNDRED "=1\nbar\n[Rule a]\nPort=0\n", CONFIG_E_INVALID,
                    (const char *const[]){ ":2: neither", ":3: the line is longer than ", NULL });
        expect_told("[Rule a]\nUser=*\n", 0, (const char *const[]){ NULL });
}

/* Bytes changed, cut out, doubled and inserted at random: any answer will do, but an answer it
 * must be. */
Test(config_errors, mutations_never_crash) {
        static const char valid[] =
                "# comment\n[Broker]\nSocketMode=0660\nSocketGroup=0\nRetainSec=1min 30s\n"
                "MaxConnections=10\n\n[Rule a]\nUser=0 60001\nGroup=0,1\nNetwork=tcp udp4\n"
                "Address=10.0.0.0/8 fe80::/10 ::1\nPort=80 8000-8099\nSharing=group\n"
                "Options=mark freeBind\n[Rule b] ; x\nUser=*\nPath=/run/x /run/app/* @web*\n"
                "Allow=no\n[Rule c]\nGroup=*\nNetwork=unix\nOptions=*\n";
        static const char special[] = "[]=:;#*@/\\ \t\r\n,.-0\xff\x01%%";
        int n_fds = leaks_count_fds(), n_loaded = 0;

        srand(1);
        for (size_t i = 0; i < 4000; i++) {
                _cleanup_(config_freep) Config *config = NULL;
                _cleanup_(freep) char *reason = NULL;
                char text[2 * sizeof(valid) + 512];
                size_t n = sizeof(valid) - 1;

                memcpy(text, valid, n);
                for (int changes = rand() % 4; changes >= 0; changes--) {
                        size_t at = (size_t)rand() % n, length = (size_t)rand() % 24;

                        length = length < n - at ? length : n - at;
                        switch (rand() % 5) {
                        case 0:
                                text[at] = (char)rand();
                                break;
                        case 1:
                                text[at] = special[(size_t)rand() % sizeof(special)];
                                break;
                        case 2:
                                memmove(text + at, text + at + length, n - at - length);
                                n = n - length ?: 1;
                                break;
                        case 3:
                                memmove(text + at + length, text + at, n - at);
                                n += length;
                                break;
                        case 4:
                                memmove(text + at + 1, text + at, n - at);
                                text[at] = special[(size_t)rand() % sizeof(special)];
                                n++;
                                break;
                        }
                }

                write_bytes(main_file, text, n);
                if (config_load_from(main_file, NULL, true, 1000, &config, &reason) == 0) {
                        n_loaded++;
                        allows(config, 60001, "tcp", ":80");
                        allows(config, 60001, "unix", "/run/app/x");
                } else {
                        cr_assert(zero(int, strncmp(reason, main_file, strlen(main_file))));
                }
        }
        /* The seed is fixed, so this only says that both ends were seen. */
        cr_assert(gt(int, n_loaded, 100));
        cr_assert(lt(int, n_loaded, 3900));
        leaks_expect_fds(n_fds);
}
