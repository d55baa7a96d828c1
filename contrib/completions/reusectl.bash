# SPDX-License-Identifier: BSD-2-Clause
# bash completion for reusectl(1). Needs nothing but bash; with the bash-completion package it also
# completes the arguments of the program that "reusectl run" starts.

# compgen -W expands its words as the shell does, so only what is surely a name goes there.
_reusectl_endpoints() {
        reusectl list --plain --no-header 2>/dev/null | cut -f1 | grep -x '[A-Za-z0-9._-]*'
}

# Prints the command given so far, if any.
_reusectl_command() {
        local i

        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --socket | --timeout)
                        ((i++))
                        ;;
                -*) ;;
                *)
                        echo "${COMP_WORDS[i]}"
                        return
                        ;;
                esac
        done
}

# Completes what follows "--". Returns 1 if there is none before the current word.
_reusectl_program() {
        local i

        for ((i = 1; i < COMP_CWORD; i++)); do
                [[ ${COMP_WORDS[i]} == -- ]] || continue

                if declare -F _command_offset >/dev/null; then
                        _command_offset $((i + 1))
                elif ((COMP_CWORD == i + 1)); then
                        mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
                else
                        mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
                fi
                return 0
        done
        return 1
}

_reusectl() {
        local command words
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
        local networks='tcp: tcp4: tcp6: udp: udp4: udp6: unix: unixgram: unixpacket: vsock: ip4:icmp: ip6:ipv6-icmp:'
        local options='--socket --timeout --json --plain --no-header --quiet --help --version'

        COMPREPLY=()
        command=$(_reusectl_command)
        if [[ $command == run ]] && _reusectl_program; then
                return
        fi

        case $previous in
        --socket)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
        --timeout)
                return
                ;;
        -l | --listen)
                compopt -o nospace
                words=$networks
                ;;
        --as)
                if [[ $command == explain ]]; then
                        mapfile -t COMPREPLY < <(compgen -u -- "$current")
                        return
                fi
                words='listen'
                ;;
        --lifetime)
                words='process tree'
                ;;
        *)
                case $command:$current in
                run:-*)
                        words="$options --listen --as --lifetime --standby --nonblock --"
                        ;;
                list:-*)
                        words="$options --members"
                        ;;
                drain:-*)
                        words="$options --wait"
                        ;;
                dial:-*)
                        words="$options --from"
                        ;;
                explain:-*)
                        words="$options --as"
                        ;;
                *:-*)
                        words=$options
                        ;;
                dial:*)
                        [[ $previous == --from ]] && return
                        compopt -o nospace
                        words=$networks
                        ;;
                explain:*)
                        compopt -o nospace
                        words=$networks
                        ;;
                check-config:*)
                        mapfile -t COMPREPLY < <(compgen -f -- "$current")
                        return
                        ;;
                list:* | ready:* | drain:*)
                        words=$(_reusectl_endpoints)
                        ;;
                weight:*)
                        [[ $previous == weight ]] || words=$(_reusectl_endpoints)
                        ;;
                :*)
                        words='run ready drain weight dial explain check-config list watch status version'
                        ;;
                *)
                        return
                        ;;
                esac
                ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _reusectl reusectl
