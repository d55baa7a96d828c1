/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * System calls that a process is killed for. What ought never to be called cannot be seen from outside,
 * and who tries it once on the way may have mended it by the time that somebody looks.
 */

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
        LAW_ROWS_MAX = 32,
};

/* A call is a crime if of argument @i, from 0, those bits are @value; or are not, if @unless. */
typedef struct LawRow {
        uint32_t number;
        uint32_t i;
        uint32_t bits, value;
        bool unless;
} LawRow;

#define LAW_WITHOUT(call, i, flag)                                                                      \
        { SYS_##call, (i), (flag), 0, false }
#define LAW_IF(call, i, value)                                                                          \
        { SYS_##call, (i), UINT32_MAX, (value), false }
#define LAW_UNLESS(call, i, value)                                                                      \
        { SYS_##call, (i), UINT32_MAX, (value), true }
#define LAW_NEVER(call)                                                                                 \
        { SYS_##call, 0, 0, 0, false }

/* Puts this process, and whatever it becomes, under it. */
static inline void law_impose(const LawRow *rows, size_t n) {
        struct sock_filter code[LAW_ROWS_MAX * 6 + 1], *c = code;
        struct sock_fprog program = { .filter = code };

        for (const LawRow *row = rows; row < rows + n && n <= LAW_ROWS_MAX; row++) {
                const uint32_t argument =
                        (uint32_t)(offsetof(struct seccomp_data, args) + row->i * sizeof(uint64_t) +
                                   4 * (__BYTE_ORDER == __BIG_ENDIAN));

                *c++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                    offsetof(struct seccomp_data, nr));
                *c++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 4);
                *c++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument);
                *c++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, row->bits);
                *c++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->value, row->unless,
                                                    !row->unless);
                *c++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        }
        *c++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        program.len = (unsigned short)(c - code);
        /* Death by it leaves a core otherwise. */
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(92);
}
