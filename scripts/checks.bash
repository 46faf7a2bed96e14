# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts/check-*: one line per check, what is wrong below it, and a closing count.

shopt -s inherit_errexit
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
checks_passed=0
checks_failed=0

# report TITLE COMMAND...: the check passes if COMMAND prints nothing, on either stream, and succeeds
report() {
  local title=$1 problems status
  shift
  # not `if problems=$(...)`: a condition would switch errexit off inside COMMAND, and hide its failing
  set +e
  problems=$(set -e; "$@" 2>&1)
  status=$?
  set -e
  if [ -z "$problems" ] && [ "$status" -eq 0 ]; then
    echo "ok    $title"
    checks_passed=$((checks_passed + 1))
  else
    echo "FAIL  $title"
    printf '        %s\n' "${problems//$'\n'/$'\n        '}"
    checks_failed=$((checks_failed + 1))
  fi
}

# the last line of every script: the count, and the exit code it deserves
finish() {
  echo "$checks_passed passed, $checks_failed failed"
  [ "$checks_failed" -eq 0 ] && [ "$checks_passed" -gt 0 ]
}

# die SENTENCE
die() {
  echo "$(basename "$0"): $1" >&2
  exit 1
}

# need_tool NAME PACKAGE
need_tool() { command -v "$1" >/dev/null || die "needs $1; install the package $2."; }

# prints the path of the library: the one given, or the build's own
library() {
  local path=${1:-$(echo native/target/nar/*-shared/lib/*/shared/libweft.so)}
  [ -r "$path" ] || die "no libweft.so; build it first with 'mvn -pl native -am package -DskipTests'."
  echo "$path"
}

# quietly PATTERN...: grep that finds nothing is no failure
quietly() { grep "$@" || [ $? -eq 1 ]; }
