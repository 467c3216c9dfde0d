# Completion of stilt-submit and of python launcher/submit.py, and so for every command.
# For bash, and for zsh, which reads it as bash does. A command is asked for its flags at the first Tab.

if [ -n "${ZSH_VERSION-}" ]; then
    autoload -Uz compinit bashcompinit
    compinit -u
    bashcompinit
fi

_stilt() {
    local program=${COMP_WORDS[0]} script="" name skipped=0
    name=${program##*/}
    case $name in
        stilt-*) name=${name#stilt-} ;;
        *)
            script=${COMP_WORDS[1]-}
            case "/$script" in
                */launcher/*.py | */analysis/summarize.py) name=${script##*/} ;;
                *) COMPREPLY=(); return 0 ;;
            esac
            [ "$COMP_CWORD" -gt 1 ] || { COMPREPLY=(); return 0; }
            name=${name%.py} skipped=1
            ;;
    esac
    if ! type "_tyro_stilt_$name" > /dev/null 2>&1; then
        eval "$("$program" ${script:+"$script"} --tyro-print-completion bash 2> /dev/null)"
        complete -o default -F _stilt "stilt-$name"
        type "_tyro_stilt_$name" > /dev/null 2>&1 || { COMPREPLY=(); return 0; }
    fi
    COMP_WORDS=("stilt-$name" "${COMP_WORDS[@]:$((skipped + 1))}")
    COMP_CWORD=$((COMP_CWORD - skipped))
    "_tyro_stilt_$name"
    [ -n "${COMPREPLY[0]-}" ] || COMPREPLY=()
    if [ "$name" = status ] && [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY+=($(compgen -W "why tail" -- "${COMP_WORDS[1]-}"))
    fi
}

complete -o default -F _stilt stilt-cancel stilt-clean stilt-doctor stilt-stage stilt-status \
    stilt-submit stilt-summarize python python3
