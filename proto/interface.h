/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The interface files, as they were when this was built. */

/* The text of "io.reuseportd" or "org.varlink.service"; NULL for any other. */
const char *interface_description(const char *name);
