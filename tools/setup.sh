#!/usr/bin/env bash
# Everything that a bare Debian 12/13, Ubuntu >= 24.04 or 64-bit Raspberry Pi OS machine needs before
# `make demo` or `make test`: system packages, a virtual environment, pinned dependencies, this tree.
# The Makefile calls it first. It says what it does, a line a step, and keeps the details in a log;
# the second time it has nothing to do, needs no network and is silent.
#
#   PYTHON=/path/to/python3   the interpreter to build on, 3.11 or newer
#   VENV=.venv                where the virtual environment goes
#   SKIP_SYSTEM=1             leave system packages alone, as on a machine without apt
#   WITH_TESTS=1              bring what only tests need too: git, Node, Convex's JavaScript client,
#                             a sound server
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PYTHON=${PYTHON:-} VENV=${VENV:-.venv} SKIP_SYSTEM=${SKIP_SYSTEM:-}
readonly WITH_TESTS=${WITH_TESTS:-}
readonly LOG=build/setup.log LOG_LINES_SHOWN=12 LOG_COLUMNS_SHOWN=160
readonly APT_LOCK_WAIT_S=120 # a machine just started may be updating itself

# Beside Python itself.
readonly PACKAGES=(
    ca-certificates       # TLS to the cloud
    espeak-ng             # the development cloud's voice; wake words are tried out with it
    gcc                   # PyAudio is compiled: it has no wheels for Linux
    libc6-dev             # for the compiler
    libogg0               # Opus, through PyOgg's bindings
    libopus0              # Opus itself
    libopusfile0          # without it PyOgg offers no Opus at all
    pocketsphinx-testdata # recorded human speech for the demo and the tests
    portaudio19-dev       # the sound card, through PyAudio
)
# Where PocketSphinx has no wheel for the machine's Python.
readonly COMPILER_PACKAGES=(cmake make)
# A sound card that is none, for the tests and `pommai bench voice`: a sound server with sinks that
# lead nowhere, PortAudio's way to it, what plays into them and records from them, and voices.
readonly SOUND_PACKAGES=(flite libasound2-plugins pulseaudio pulseaudio-utils)
# What the tests call, unless the path has it; of Node, one that is new enough.
readonly GIT_PACKAGES=(git)
readonly NODE_PACKAGES=(nodejs npm)
readonly NODE_OLDEST=18 # Debian 12's
readonly JAVASCRIPT=tests/devcloud/official

python=''      # the interpreter in use; empty while there is none
announced=''   # whether this run has said anything yet
step=''        # the step whose line on the terminal is still open
apt_updated='' # whether this run has fetched apt's package lists

announce() { # once a run, before anything is done
    [[ -z $announced ]] || return 0
    announced=yes
    : >"$LOG"
    echo "Setting up; the details go to $LOG"
}

begin() { # STEP: open its line on the terminal
    announce
    step=$1
    SECONDS=0
    printf '  %s ... ' "$step"
}

end() {
    step=''
    printf 'done (%d s)\n' "$SECONDS"
}

fail() { # LINE...: say why and what to do, and stop
    [[ -z $step ]] || echo failed
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

fail_without_python() {
    fail "needs a 64-bit Python 3.11 or newer, and ${PYTHON:-python3} here is not one." \
        'Debian 12, Ubuntu 24.04 and 64-bit Raspberry Pi OS bring one.' \
        'Elsewhere, name one: make setup PYTHON=/path/to/python3.11'
}

fail_without_apt() {
    fail 'there is no apt here. Install what these Debian packages bring:' \
        "    python3-venv python3-dev ${PACKAGES[*]}" \
        "and, for a Python other than 3.11 and 3.13: ${COMPILER_PACKAGES[*]}" \
        "and, for \`make test\`: ${SOUND_PACKAGES[*]} ${GIT_PACKAGES[*]}, Node $NODE_OLDEST or newer with npm (${NODE_PACKAGES[*]})" \
        'Then say that they are there: make setup SKIP_SYSTEM=1'
}

fail_without_git() {
    fail 'the tests need git on the path.' \
        "Debian, Ubuntu and Raspberry Pi OS bring it in: ${GIT_PACKAGES[*]}"
}

fail_without_node() {
    fail "the tests need Node $NODE_OLDEST or newer, and npm, on the path." \
        'Debian 12, Ubuntu 24.04 and 64-bit Raspberry Pi OS bring them in:' \
        "    ${NODE_PACKAGES[*]}"
}

network_failed() {
    grep -qiE 'temporary failure|name resolution|could not (resolve|connect)|failed to establish|unreachable|timed out|connection refused|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ETIMEDOUT' "$LOG"
}

logged() { # COMMAND...: run it into the log; when it fails, show the end of the log and stop
    printf '\n$ %s\n' "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 </dev/null && return
    local -a lines=("The end of $LOG:")
    mapfile -t -O "${#lines[@]}" lines < <(
        tail -n "$LOG_LINES_SHOWN" "$LOG" | cut -c "-$LOG_COLUMNS_SHOWN" | sed 's/^/    /'
    )
    if network_failed; then
        lines+=('The network cannot be reached: check it, and any proxy or mirror settings,'
            'then run the same command again.')
    fi
    fail "${lines[@]}"
}

suits() { # INTERPRETER: a 64-bit Python that is new enough
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.maxsize <= 2**32)' 2>/dev/null
}

version() { # INTERPRETER: such as 3.11.2
    "$1" -c 'import platform; print(platform.python_version())'
}

find_python() { # print the interpreter to build on; nothing when there is none
    local name
    for name in ${PYTHON:-python3 /usr/bin/python3 python3.13 python3.12 python3.11}; do
        if suits "$name"; then
            # From inside a virtual environment, the interpreter that it was made with.
            "$name" -c 'import sys; print(sys._base_executable)'
            return
        fi
    done
}

# A virtual environment serves where it was made, with the Python it was made with, and with the one
# that was asked for.
environment_serves() {
    grep -qsF "$(realpath -s "$VENV")" "$VENV/bin/activate" &&
        suits "$VENV/bin/python" &&
        "$VENV/bin/python" -c 'import pip' 2>/dev/null &&
        [[ -z $PYTHON || $(version "$PYTHON" 2>/dev/null) == "$(version "$VENV/bin/python")" ]]
}

choose_python() {
    if environment_serves; then
        python=$VENV/bin/python
    else
        python=$(find_python)
    fi
}

distribution_package() { # SUFFIX: print the package that adds it to a Python of the distribution
    local real
    real=$(readlink -f "$python")
    case $real in
        /usr/bin/*) echo "$(basename "$real")-$1" ;;
    esac
}

python_package() { # print what is missing before virtual environments can be made, if anything
    if [[ -z $python ]]; then
        [[ -z $PYTHON && ! -x /usr/bin/python3 ]] || fail_without_python
        echo python3-venv
    elif [[ $python != "$VENV/bin/python" ]] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        distribution_package venv
    fi
}

needs_compiler() { # whether PocketSphinx has no wheel for this Python
    local tag
    tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
    ! grep -q "  pocketsphinx-.*-$tag-" requirements/wheels.sha256
}

node_suits() { # whether the path has a Node that is new enough, and npm
    command -v npm >/dev/null &&
        node -e "process.exit(Number(parseInt(process.versions.node) < $NODE_OLDEST))" 2>/dev/null
}

bring() { # PACKAGE...: install those that are not; as root, through sudo when need be
    local installed name
    local -a missing=() apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q
        -o "DPkg::Lock::Timeout=$APT_LOCK_WAIT_S")
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    for name in "$@"; do
        grep -qxF "$name installed" <<<"$installed" || missing+=("$name")
    done
    ((${#missing[@]} > 0)) || return 0

    if ((EUID != 0)); then
        announce
        echo '  system packages are missing: sudo may ask for your password'
        if ! command -v sudo >/dev/null || ! sudo -v; then
            fail 'not allowed to install them.' \
                "As root: apt-get install ${missing[*]}" \
                'Then run the same command again.'
        fi
        apt=(sudo "${apt[@]}")
    fi
    begin "system packages: ${missing[*]}"
    if [[ -z $apt_updated ]]; then
        logged "${apt[@]}" update
        apt_updated=yes
    fi
    for name in "${missing[@]}"; do
        # Offline, apt may know no package at all; then its own attempt tells the cause.
        apt-cache show "$name" >/dev/null 2>&1 || network_failed || fail \
            "this machine's package sources do not offer $name." \
            'On Ubuntu it is in "universe": sudo add-apt-repository universe' \
            'Then run the same command again.'
    done
    logged "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
    end
}

system_packages() {
    local -a packages
    local name
    command -v apt-get >/dev/null || fail_without_apt
    name=$(python_package)
    if [[ -n $name ]]; then
        bring "$name"
        choose_python
        [[ -n $python ]] || fail_without_python
    fi
    packages=("${PACKAGES[@]}")
    mapfile -t -O "${#packages[@]}" packages < <(distribution_package dev)
    if needs_compiler; then
        packages+=("${COMPILER_PACKAGES[@]}")
    fi
    if [[ -n $WITH_TESTS ]]; then
        packages+=("${SOUND_PACKAGES[@]}")
        command -v git >/dev/null || packages+=("${GIT_PACKAGES[@]}")
        node_suits || packages+=("${NODE_PACKAGES[@]}")
    fi
    bring "${packages[@]}"
}

environment() {
    begin "virtual environment: $VENV, Python $(version "$python")"
    logged "$python" -m venv --clear "$VENV"
    end
}

pip_install() {
    # A build finds its tools, such as Cython, on the path.
    logged env PATH="$(realpath -s "$VENV")/bin:$PATH" "$VENV/bin/python" -m pip install \
        --disable-pip-version-check --no-input --progress-bar off "$@"
}

# Files are wheels, but for PyOgg, which is plain Python without a wheel, PyAudio, which is compiled,
# and PocketSphinx where it has none. These are built with the tools of build.txt, never with any fetched for the purpose.
# The pins are complete, so none is followed to its own dependencies: pip would look for the newest
# `coverage[toml]`, say, beside the pinned `coverage`. `pip check` afterwards finds what is missing.
dependencies() {
    local from_source=pyaudio,pyogg note=''
    if needs_compiler; then
        from_source+=,pocketsphinx
        note=', PocketSphinx compiled'
    fi
    begin "dependencies: $(grep -c '^[a-z].*==' requirements/dev.txt) pinned packages, hashes checked$note"
    pip_install --require-hashes --no-deps --only-binary :all: -r requirements/build.txt
    pip_install --require-hashes --no-deps --only-binary :all: --no-binary "$from_source" \
        --use-pep517 --no-build-isolation -r requirements/dev.txt
    end
}

this_tree() {
    begin 'this tree: editable, with the pommai command'
    pip_install --no-index --no-deps --no-build-isolation --editable .
    logged "$VENV/bin/python" -m pip check
    end
}

# The lock file says what is installed, with hashes, and not where from. Optional packages are
# compilers for each platform, and scripts would install them: the client runs without either.
javascript() {
    begin "Convex's JavaScript client: on Node $(node --version)"
    logged npm --prefix "$JAVASCRIPT" ci --omit=optional --ignore-scripts --no-audit --no-fund
    end
}

fingerprint() { # FILE...: changes with the files and with the environment's Python
    { sha256sum "$@" && "$VENV/bin/python" -c 'import sys; print(sys.version)'; } | sha256sum
}

unless_done() { # STEP FILE...: take the step, unless it was taken with these files before
    local stamp=$VENV/.done-$1
    [[ -f $stamp && $(<"$stamp") == "$(fingerprint "${@:2}")" ]] && return
    "$1"
    fingerprint "${@:2}" >"$stamp"
}

main() {
    mkdir -p build
    choose_python
    [[ -n $SKIP_SYSTEM ]] || system_packages
    [[ -n $python ]] || fail_without_python
    [[ -z $WITH_TESTS ]] || command -v git >/dev/null || fail_without_git
    [[ -z $WITH_TESTS ]] || node_suits || fail_without_node
    environment_serves || environment
    unless_done dependencies requirements/build.txt requirements/dev.txt
    # A new top-level package needs this step too: an editable installation lists them.
    unless_done this_tree pyproject.toml ./*/__init__.py
    [[ -n $WITH_TESTS ]] || return 0
    [[ -d $JAVASCRIPT/node_modules ]] || rm -f "$VENV/.done-javascript"
    unless_done javascript "$JAVASCRIPT"/package{,-lock}.json
}

main
