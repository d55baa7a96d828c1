/* SPDX-License-Identifier: BSD-2-Clause */

#include "daemon/state-mark.h"

#include "daemon/state-file.h"

void state_mark_touch(StateMark *mark, StateMarks *marks, StateKind kind) {
        if (!marks || mark->touched)
                return;
        mark->marks = marks;
        mark->kind = kind;
        mark->touched = true;
        TAILQ_INSERT_TAIL(&marks->touched, mark, entry);
}

void state_mark_end(StateMark *mark) {
        if (!mark->marks)
                return;
        if (mark->touched)
                TAILQ_REMOVE(&mark->marks->touched, mark, entry);
        state_file_remove(mark->marks->file, &mark->at);
        state_buffer_deinit(&mark->rest);
        *mark = (StateMark){ 0 };
}
