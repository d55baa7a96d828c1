// SPDX-License-Identifier: BSD-2-Clause

// The public header is C++ too, and its functions are found under their C names.

#include "client-lib/reuse-client.h"

#include <cstring>

int main() {
        reuse_error *error = nullptr;
        reuse_request *request = nullptr;
        const char *version = reuse_version();

        if (!version || std::strchr(version, '.') == nullptr)
                return 1;
        if (reuse_request_new(&request) < 0)
                return 1;
        if (reuse_request_add_spec(request, "tcp:127.0.0.1:0,sharing=nonsense", &error) >= 0 || !error)
                return 1;
        error = reuse_error_free(error);
        request = reuse_request_free(request);
        return REUSE_TIMEOUT_DEFAULT < REUSE_TIMEOUT_INFINITE ? 0 : 1;
}
