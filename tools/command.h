/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The commands of reusectl. Each gets the settings read so far, and the words from its name on: argv[0]
 * is the program's name, optind is to be set anew. Returns the exit status.
 */

#include "tools/settings.h"

int command_run(Settings *settings, int argc, char **argv);
int command_ready(Settings *settings, int argc, char **argv);
int command_drain(Settings *settings, int argc, char **argv);
int command_weight(Settings *settings, int argc, char **argv);
int command_explain(Settings *settings, int argc, char **argv);
int command_dial(Settings *settings, int argc, char **argv);
int command_check_config(Settings *settings, int argc, char **argv);
int command_list(Settings *settings, int argc, char **argv);
int command_watch(Settings *settings, int argc, char **argv);
int command_status(Settings *settings, int argc, char **argv);
int command_version(Settings *settings, int argc, char **argv);
