/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One function per method. @p is the struct of the method's parameters, decoded and typed. Each answers
 * the call, with a reply or an error, and returns 0; or returns a negative errno, a fault of the broker.
 */

#include "daemon/context.h"

typedef int (*MethodFunction)(Context *context, const void *p);

int method_acquire(Context *context, const void *p); /* acquire.c */
int method_dial(Context *context, const void *p);    /* outgoing.c */
int method_release(Context *context, const void *p);
int method_ready(Context *context, const void *p); /* generations.c */
int method_drain(Context *context, const void *p);
int method_set_weight(Context *context, const void *p);
int method_resume(Context *context, const void *p);    /* resume.c */
int method_take_over(Context *context, const void *p); /* take-over.c */
int method_list(Context *context, const void *p);
int method_watch(Context *context, const void *p);
int method_explain(Context *context, const void *p); /* explain.c */
int method_get_status(Context *context, const void *p);
int method_get_info(Context *context, const void *p);
int method_get_interface_description(Context *context, const void *p);
