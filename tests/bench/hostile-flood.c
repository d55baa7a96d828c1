/* SPDX-License-Identifier: BSD-2-Clause */

/* Too many connections, and bytes that are no calls. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "tests/bench/hostile-attack.h"

void attack_open_and_close(const Foe *foe) {
        for (;;) {
                fd_close(foe_connect(foe));
                foe_strike(foe);
        }
}

void attack_open_and_keep(const Foe *foe) {
        foe_besiege(foe, &(Siege){ 0 });
}

/* Says @n bytes on a new connection each time, and waits for the broker to make something of them. */
static void flood_with(const Foe *foe, const void *data, size_t n) {
        int fd = foe_connect_patient(foe);

        if (fd >= 0 && foe_send(fd, data, n))
                foe_hear(fd, 1);
        fd_close(fd);
        foe_strike(foe);
}

void attack_noise(const Foe *foe) {
        static char noise[4096];
        unsigned short seed[3] = { (unsigned short)foe->index };

        for (;;) {
                for (size_t i = 0; i < sizeof(noise); i++)
                        noise[i] = (char)nrand48(seed);
                /* There has to be one frame. */
                noise[nrand48(seed) % (long)sizeof(noise)] = 0;
                flood_with(foe, noise, sizeof(noise));
        }
}

void attack_oversized(const Foe *foe) {
        static char frame[FOE_CALL_MAX + 1024];

        memset(frame, ' ', sizeof(frame));
        for (;;)
                flood_with(foe, frame, sizeof(frame));
}

/* ---- JSON that is a burden to parse ------------------------------------------------------------ */

typedef struct Bomb {
        char *text;
        size_t n;
} Bomb;

enum {
        BOMB_REPEATS = 60 * 1000,
        BOMB_REPEAT_MAX = 16,
};

/* @text many times, as far as it fits into @size; NULL: a key of an object, another one each time. */
static Bomb bomb_new(const char *begin, const char *text, const char *end, size_t size) {
        Bomb bomb = { 0 };
        FILE *file = open_memstream(&bomb.text, &bomb.n);

        if (!file)
                exit(EXIT_FAILURE);
        fputs(begin, file);
        for (int i = 0; i < BOMB_REPEATS && (size_t)ftell(file) + BOMB_REPEAT_MAX < size; i++)
                if (text)
                        fputs(text, file);
                else
                        fprintf(file, "\"%d\":0,", i);
        fputs(end, file);
        fputc(0, file);
        if (fclose(file) != 0)
                exit(EXIT_FAILURE);
        return bomb;
}

void attack_bombs(const Foe *foe) {
        static const char call[] = "{\"method\":\"io.reuseportd.List\",\"parameters\":{";
        const Bomb bombs[] = {
                bomb_new(call, NULL, "\"\":0}}", FOE_CALL_MAX),
                bomb_new(call, NULL, "\"\":0}}", 1024 * 1024),
                bomb_new(call, "\"a\":{", "", FOE_CALL_MAX),
                bomb_new("{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[", "{},",
                         "{}]}}", FOE_CALL_MAX),
                bomb_new("", "[", "", FOE_CALL_MAX),
                bomb_new("[", "0,", "0]", FOE_CALL_MAX),
                bomb_new("{\"method\":\"", "\\u0041", "\"}", FOE_CALL_MAX),
        };

        for (size_t i = 0;; i = (i + 1) % (sizeof(bombs) / sizeof(*bombs)))
                flood_with(foe, bombs[i].text, bombs[i].n);
}
