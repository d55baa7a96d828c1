/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sits in the broker's process, preloaded, and has a call fail when the panel says so.
 *
 * Allocations pass through functions of the same name. System calls come by way of the kernel's syscall
 * user dispatch, which raises SIGSYS for each, whoever makes it: so none is missed, be it one inside the
 * C library, and the sanitizers' wrappers are as they were. The handler makes the call itself, from the
 * one section where the kernel lets it pass.
 */

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/fault/panel.h"
#include "tests/fault/rules.h"

#ifndef __x86_64__
#error "the dispatch is written for x86-64"
#endif

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#define SYSCALL_DISPATCH_FILTER_ALLOW 0
#define SYSCALL_DISPATCH_FILTER_BLOCK 1
#endif

enum {
        SIGSET_BYTES = 8, /* as the kernel has it */
        SIGNAL_RESTORER = 0x04000000,
        CALL_SIZE = 2, /* of the instruction */
};

static FaultPanel *panel;
static char selector = SYSCALL_DISPATCH_FILTER_ALLOW;

/* ---- what fails ---------------------------------------------------------------------------------- */

static void record_frame(const char *object, const void *base, const void *address) {
        const char *slash = strrchr(object, '/');

        snprintf(panel->frames[panel->n_frames++], FAULT_FRAME_SIZE, "%s+%#tx",
                 slash ? slash + 1 : object, (const char *)address - (const char *)base);
}

/* Who made the call, less what is in here. */
static void record_caller(void) {
        void *addresses[2 * FAULT_FRAMES_MAX];
        int n = backtrace(addresses, 2 * FAULT_FRAMES_MAX);
        Dl_info own, info;

        /* NOLINTNEXTLINE(performance-no-int-to-ptr): of a function, which dladdr() wants so */
        dladdr((void *)(uintptr_t)record_caller, &own);
        panel->n_frames = 0;
        for (int i = 0; i < n && panel->n_frames < FAULT_FRAMES_MAX; i++)
                if (dladdr(addresses[i], &info) && info.dli_fbase != own.dli_fbase)
                        record_frame(info.dli_fname, info.dli_fbase, addresses[i]);
}

/* Counts a call that may fail as planned. Returns whether this one does. */
static bool is_due(const char *name, int error) {
        const FaultPlan *plan = &panel->plan;

        panel->calls++;
        if (panel->calls < plan->nth)
                return false;
        if (panel->calls > plan->nth && !plan->onwards &&
            (plan->again == 0 || panel->calls != plan->nth + plan->again))
                return false;
        snprintf(panel->last, sizeof(panel->last), "%s", name);
        if (panel->failed++ == 0) {
                snprintf(panel->name, sizeof(panel->name), "%s", name);
                panel->error = error;
                record_caller();
        }
        return true;
}

/* The error that a call of @rule has in the plan; 0: none. */
static int planned_error(const FaultRule *rule) {
        switch (panel->plan.kind) {
        case FAULT_SYSTEM_CALL:
                return panel->plan.variant < FAULT_ERRORS_MAX ? rule->errors[panel->plan.variant] : 0;
        case FAULT_DESCRIPTOR:
                return rule->descriptor ? EMFILE : 0;
        default:
                return 0;
        }
}

/* ---- system calls -------------------------------------------------------------------------------- */

/*
 * The linker names both ends of a section. What returns from the handler looks as in the C library, byte
 * for byte, without which no backtrace gets past it.
 */
#define GATE __attribute__((section("gate"), noinline))

extern const char __start_gate[], __stop_gate[];
void gate_return(void);

__asm__(".pushsection gate, \"ax\", @progbits\n"
        "nop\n"
        ".hidden gate_return\n"
        ".globl gate_return\n"
        "gate_return:\n"
        "mov $15, %rax\n"
        "syscall\n"
        ".popsection\n");

GATE static long pass(long number, const long a[static 6]) {
        register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
        long result = number;

        __asm__ volatile("syscall"
                         : "+a"(result)
                         : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return result;
}

/* Of epoll: a wait of 0 is none. */
static bool is_wait(long number, const long arguments[static 6]) {
        return (number == SYS_epoll_wait || number == SYS_epoll_pwait) && (int)arguments[3] != 0;
}

static long pass_watched(long number, const long arguments[static 6]) {
        long r;

        if (!is_wait(number, arguments))
                return pass(number, arguments);
        /* What is there already is not waited for. */
        r = pass(number, (const long[]){ arguments[0], arguments[1], arguments[2], 0, arguments[4],
                                         arguments[5] });
        if (r != 0)
                return r;
        panel->waits++;
        panel->waiting = true;
        r = pass(number, arguments);
        panel->waiting = false;
        return r;
}

/* A map that is emptied is thousands of calls which are all alike. */
static bool empties_on(long number, const long arguments[static 6]) {
        static bool before;
        bool now = number == SYS_bpf && arguments[0] == BPF_MAP_DELETE_ELEM, on = before && now;

        before = now;
        return on;
}

/* As if it were killed: nothing is cleaned up. */
static void die_if_due(long number, const long arguments[static 6]) {
        if (panel->calls == 0 && (number != SYS_fcntl || arguments[1] != F_GET_SEALS))
                return;
        if (empties_on(number, arguments))
                return;
        if (++panel->calls < panel->plan.nth)
                return;
        panel->failed++;
        panel->last_call = number;
        pass(SYS_exit_group, (const long[6]){ FAULT_DEATH_STATUS });
}

static long pass_or_fail(long number, const long arguments[static 6]) {
        const FaultRule *rule;
        int error;

        if (panel->armed && panel->plan.kind == FAULT_DEATH)
                die_if_due(number, arguments);
        if (!panel->armed || panel->plan.kind == FAULT_DEATH)
                return pass_watched(number, arguments);
        rule = fault_rule_find(number, arguments);
        if (!rule) {
                panel->unknown_call = number;
                return pass(number, arguments);
        }
        error = planned_error(rule);
        if (error == 0 || !is_due(rule->name, error))
                return pass_watched(number, arguments);
        if (rule->done)
                pass(number, arguments);
        return -error;
}

static void on_call(int signal_number, siginfo_t *info, void *userdata) {
        ucontext_t *context = userdata;
        greg_t *registers = context->uc_mcontext.gregs;
        const long arguments[] = { registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                                   registers[REG_R10], registers[REG_R8],  registers[REG_R9] };
        const long ask[] = { SIG_BLOCK, 0, (long)(uintptr_t)&context->uc_sigmask, SIGSET_BYTES, 0, 0 };
        int saved = errno;

        switch (info->si_syscall) {
        case SYS_clone:
        case SYS_clone3:
        case SYS_fork:
        case SYS_vfork:
                /* A child cannot start in here. The program does it itself, and is left alone from then
                 * on, unless it was fork(): it is the leak sanitizer, at the end. */
                selector = SYSCALL_DISPATCH_FILTER_ALLOW;
                registers[REG_RAX] = info->si_syscall;
                registers[REG_RIP] -= CALL_SIZE;
                break;
        case SYS_rt_sigprocmask:
                /* The return from the handler would undo it. And were SIGSYS blocked, it would kill. */
                registers[REG_RAX] = pass(info->si_syscall, arguments);
                pass(SYS_rt_sigprocmask, ask);
                sigdelset(&context->uc_sigmask, SIGSYS);
                break;
        default:
                registers[REG_RAX] = pass_or_fail(info->si_syscall, arguments);
        }
        errno = saved;
}

/* The C library would set its own way back from the handler, which is outside of the gate. */
static bool handle_calls(void) {
        struct {
                void (*handler)(int, siginfo_t *, void *);
                unsigned long flags;
                void (*restorer)(void);
                uint64_t mask;
        } action = { on_call, SA_SIGINFO | SA_NODEFER | SIGNAL_RESTORER, gate_return, 0 };

        return syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, SIGSET_BYTES) == 0 &&
               prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, __start_gate,
                     (unsigned long)(__stop_gate - __start_gate), &selector) == 0;
}

/* ---- allocations --------------------------------------------------------------------------------- */

static bool allocation_fails(const char *name) {
        if (!panel)
                return false;
        panel->allocations_seen = true;
        if (!panel->armed || panel->plan.kind != FAULT_ALLOCATION || !is_due(name, ENOMEM))
                return false;
        errno = ENOMEM;
        return true;
}

__attribute__((visibility("default"))) void *malloc(size_t size) {
        static void *(*next)(size_t);

        if (!next)
                next = dlsym(RTLD_NEXT, "malloc");
        return allocation_fails("malloc") ? NULL : next(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size) {
        static void *(*next)(size_t, size_t);

        if (!next)
                next = dlsym(RTLD_NEXT, "calloc");
        return allocation_fails("calloc") ? NULL : next(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size) {
        static void *(*next)(void *, size_t);

        if (!next)
                next = dlsym(RTLD_NEXT, "realloc");
        return allocation_fails("realloc") ? NULL : next(old, size);
}

__attribute__((visibility("default"))) void *reallocarray(void *old, size_t n, size_t size) {
        size_t bytes;

        if (__builtin_mul_overflow(n, size, &bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return realloc(old, bytes);
}

/* ---- start --------------------------------------------------------------------------------------- */

static FaultPanel *map_panel(void) {
        const char *path = getenv(PANEL_VARIABLE);
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *memory;

        if (fd < 0)
                return NULL;
        memory = mmap(NULL, sizeof(FaultPanel), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        return memory == MAP_FAILED ? NULL : memory;
}

static void after_fork(void) {
        selector = SYSCALL_DISPATCH_FILTER_BLOCK;
}

/* To the kernel a child has no dispatch; nor is anything of it to fail. */
static void in_child(void) {
        panel = NULL;
}

__attribute__((constructor)) static void start(void) {
        void *address;

        /* The first one loads the unwinder. */
        backtrace(&address, 1);
        panel = map_panel();
        if (!panel || !handle_calls() || pthread_atfork(NULL, after_fork, in_child) != 0)
                return;
        panel->working = true;
        selector = SYSCALL_DISPATCH_FILTER_BLOCK;
}
