# Shared by the test scripts; source it from the top of the repository.
# shellcheck shell=bash

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-always}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Cargo knows where its target directory is, whichever way it was set.
target_dir() {
    cargo metadata --locked --no-deps --format-version 1 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
}

# step NAME COMMAND...: runs the command under a banner that tells the time since the start,
# and ends the whole run at the first failure with a line that names the step.
step() {
    local log status=0
    if [[ -z ${LANE:-} ]]; then
        run_step "$@"
        return
    fi
    log=$(mktemp)
    (run_step "$@") >"$log" 2>&1 || status=$?
    cat "$log"
    rm "$log"
    ((status == 0)) || exit "$status"
}

run_step() {
    local name=$1 began=$SECONDS status=0
    shift
    printf '\n==== %s (at %s)\n' "$name" "$(elapsed "$SECONDS")"
    "$@" || status=$?
    if ((status != 0)); then
        printf '==== FAILED: %s (exit %d, after %s): %s\n' \
            "$name" "$status" "$(elapsed $((SECONDS - began)))" "$*" >&2
        exit 1
    fi
    printf '==== done: %s (%s)\n' "$name" "$(elapsed $((SECONDS - began)))"
}

# side_by_side LANE...: runs functions at the same time. Each is a sequence of steps, and prints a step in one piece when it
# ends. A lane stops at its first failure. The others run to their end, so that no program of theirs is left over.
side_by_side() {
    local lane lanes=() failed=0
    for lane in "$@"; do
        # The number keeps their ports apart, see free_ports in tests/proof/harness.py.
        (export LANE=${#lanes[@]} && "$lane") &
        lanes+=($!)
    done
    for lane in "${lanes[@]}"; do
        wait "$lane" || failed=1
    done
    ((failed == 0)) || die "of these side by side, one failed: $*"
}

elapsed() {
    printf '%dm%02ds' $(($1 / 60)) $(($1 % 60))
}

# retry COMMAND...: three tries, for commands that download.
retry() {
    local try
    for try in 1 2 3; do
        "$@" && return
        printf 'try %d of 3 failed: %s\n' "$try" "$*" >&2
        sleep $((try * 3))
    done
    return 1
}

command -v cargo >/dev/null || die 'cargo is missing: install Rust (https://rustup.rs)'
command -v python3 >/dev/null || die 'python3 is missing: install Python 3.11 or newer'
TARGET_DIR=$(target_dir)
TOOLS=$TARGET_DIR/tools
export TARGET_DIR TOOLS PATH="$TOOLS/bin:$PATH"
