/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The configuration files as one struct. INI by inih; key names in systemd's manner; each error with
 * file and line. Loading is complete or nothing: a new Config never touches the one in force.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Policy Policy;

#define CONFIG_FILE_DEFAULT "/etc/reuseportd/reuseportd.conf"
#define CONFIG_FOLDER_DEFAULT "/etc/reuseportd/reuseportd.conf.d"

/* What holds where no file says otherwise. reuseportd.conf(5) and the sample name the same values. */
enum {
        CONFIG_SOCKET_MODE = 0600,
        CONFIG_RETAIN_SEC = 10,
        CONFIG_MAX_CONNECTIONS = 4096,
        CONFIG_MAX_CONNECTIONS_PER_USER = 256,
        CONFIG_MAX_LEASES_PER_USER = 4096,
};

typedef struct Config {
        /* Whether any file was read; if not, the broker serves its own uid only. */
        bool from_files;
        uid_t user; /* whom a broker that root started runs as; (uid_t) -1: see confinement.h */
        mode_t socket_mode;
        gid_t socket_group; /* (gid_t) -1: left as it is */
        uint64_t retain_usec;
        size_t max_connections;
        size_t max_connections_per_user;
        size_t max_leases_per_user;
        Policy *policy; /* owned */
} Config;

enum {
        _CONFIG_E_SUCCESS,
        /* The files are wrong: *ret_reason says where and why. */
        CONFIG_E_INVALID,
};

/*
 * Loads @file alone, or with NULL the system's file and the *.conf files of its folder in the order of
 * their names; files that are not there are skipped unless named. With @own_only nothing is read
 * unless @file is given. Without any file the policy gives @uid everything and nobody else anything.
 * Users and groups are looked up, which may block.
 * On CONFIG_E_INVALID *@ret_reason is a malloc'ed text "FILE:LINE: what is wrong; what to do".
 * Returns 0 with *@ret owned by the caller, CONFIG_E_INVALID, or a negative errno.
 */
int config_load(const char *file, bool own_only, uid_t uid, Config **ret, char **ret_reason);

/* Who is told of each file that is read, and of each thing that is wrong, as in *ret_reason above. */
typedef struct ConfigObserver {
        void (*read)(void *userdata, const char *file);
        void (*wrong)(void *userdata, const char *reason);
        void *userdata;
} ConfigObserver;

/* The same; *@ret_reason is the first of what was wrong. */
int config_load_observed(const char *file, bool own_only, uid_t uid, const ConfigObserver *observer,
                         Config **ret, char **ret_reason);

/*
 * The same with the system's places replaced; for tests. @file and @folder may be NULL. With @required
 * it is an error that @file is not there.
 */
int config_load_from(const char *file, const char *folder, bool required, uid_t uid, Config **ret,
                     char **ret_reason);

/* Takes NULL; returns NULL. */
Config *config_free(Config *config);
