#!/usr/bin/env bash
# The second step: runs the user's script under the recorder and ends with the script's own exit
# status, whatever becomes of the recording. A signal is passed on, and the trace still packed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
# The script sees the environment of a plain step.
export -n "${!DK_@}"
unset GITHUB_ACTION_PATH

[ -n "$DK_DIR" ] || DK_DIR=$(mktemp -d) || exit 125
state_dir=${DK_STATE_DIR:-$DK_DIR/state}
case $state_dir in /*) ;; *) state_dir=$PWD/$state_dir ;; esac
source=${DK_RUN:-$DK_COMMAND}
marker=$DK_DIR/started
argv=()

fail() {
  annotate error "$1"
  exit 2
}

# The script as a file, and in `argv` the command that runs it as the runner itself would.
write_script() {
  local file=$DK_DIR/script
  case $DK_SHELL in
    '' | bash) file+=.sh template='bash --noprofile --norc -eo pipefail {0}' ;;
    sh) file+=.sh template='sh -e {0}' ;;
    python) file+=.py template='python {0}' ;;
    pwsh)
      file+=.ps1
      source=$'$ErrorActionPreference = \'stop\'\n'$source
      source+=$'\nif ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }'
      template=pwsh
      ;;
    *'{0}'*) template=$DK_SHELL ;;
    *) fail "shell: '$DK_SHELL' has no {0} for the script" ;;
  esac
  printf '%s\n' "$source" >"$file"
  read -ra argv <<<"$template"
  argv=("${argv[@]//'{0}'/$file}")
  if [ "$template" = pwsh ]; then argv+=(-command ". '$file'"); fi
}

# each OPTION LINES: adds the option once for each line that is not empty.
each() {
  local line
  while IFS= read -r line; do
    line=${line%$'\r'}
    if [ -n "$line" ]; then options+=("$1" "$line"); fi
  done <<<"$2"
}

write_options() {
  options=(--state-dir "$state_dir" --backend "${DK_BACKEND:-auto}")
  each --watch "$DK_WATCH"
  each --exclude "$DK_EXCLUDE"
  each --max-size "${DK_MAX_SIZE:-}"
  if ! is_on "${DK_REDACT:-true}"; then return; fi
  options+=(--redact)
  each --redact-env "${DK_REDACT_ENV:-}"
  each --redact-path "${DK_REDACT_PATH:-}"
}

# Runs a command in a process group of its own, so that it keeps its SIGINT, and passes signals on.
run() {
  local pid interrupted='' last
  set -m
  "$@" <&0 &
  pid=$!
  set +m
  local signal
  for signal in INT TERM HUP; do
    # shellcheck disable=SC2064 # this pid, now
    trap "interrupted=1 cancelled=1; kill -$signal $pid 2>/dev/null" "$signal"
  done
  wait "$pid"
  status=$?
  while [ -n "$interrupted" ]; do
    interrupted=
    wait "$pid"
    last=$?
    # 127: it was reaped by the first wait already, whose answer stands.
    if [ "$last" != 127 ]; then status=$last; fi
  done
}

# Leaves a mark with its pid, then becomes the command.
launcher=$DK_DIR/step
launched=(sh "$launcher")

record() {
  write_options
  run "$DK_BINARY" record "${options[@]}" -- "${launched[@]}" "${argv[@]}"
  if [ ! -e "$marker" ]; then
    trouble "the recorder failed before the script ran (status $status); it runs unrecorded"
    return 1
  fi
  # A recorder that was killed leaves the script behind: its end is waited for.
  local pid
  pid=$(<"$marker")
  if kill -0 "$pid" 2>/dev/null; then
    trouble 'the recorder was killed while the script ran; what the script ended with is not known'
    while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
  fi
}

pack() {
  case $DK_UPLOAD in
    never) return ;;
    always) ;;
    *) if [ "$status" = 0 ] && [ -z "$cancelled" ]; then return; fi ;;
  esac
  local careful=()
  if is_on "${DK_REDACT:-true}"; then careful=(--refuse-secrets); fi
  "$DK_BINARY" pack --quiet --state-dir "$state_dir" "${careful[@]}" -o "$DK_DIR/trace.dkpack" ||
    trouble 'the trace could not be packed, or holds what looks like a secret'
}

case $DK_UPLOAD in on-failure | always | never) ;; *) fail "upload: '$DK_UPLOAD' is not on-failure, always or never" ;; esac
[ -n "$source" ] || fail 'there is nothing to run: the input is empty'
cd -- "${DK_WORKING_DIRECTORY:-.}" || fail "working-directory: '$DK_WORKING_DIRECTORY' cannot be entered"
write_script
# shellcheck disable=SC2016 # for the launcher to expand
printf '%s\n' 'echo $$ >"${0%/*}/started"' 'exec "$@"' >"$launcher"

cancelled='' status=125 recorded=
if [ -n "$DK_BINARY" ] && record; then
  recorded=1
elif [ -z "$cancelled" ]; then
  run "${argv[@]}"
fi
if [ -n "$recorded" ]; then pack; fi
printf '%s\n' "$status" "$recorded" "$state_dir" >"$DK_DIR/result"
exit "$status"
