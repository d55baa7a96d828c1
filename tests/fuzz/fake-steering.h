/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The steering program without the kernel: takes the place of steering.c in fuzz-dispatch.c, and checks
 * that it is used as steering.h says.
 */

#include "daemon/steering.h"

/* @n flows come to every group, to each member on its list. */
void fake_steering_flow(Steering *steering, unsigned n);
