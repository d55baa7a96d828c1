# SPDX-License-Identifier: BSD-2-Clause
# complain.sh: for the checks beside it, which end with $status: 1 once there was something to complain of.

status=0

complain() {
        echo "$*" >&2
        status=1
}
