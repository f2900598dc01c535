#!/usr/bin/env bash
# The third step: outputs, job summary and at most three annotations. It fails only where the user
# wants a fault of the recorder to count.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

status='' recorded='' state_dir=''
{ read -r status; read -r recorded; read -r state_dir; } <"${DK_DIR:-/nonexistent}/result" ||
  trouble 'the step ended before it could say how'
output exit-code "$status"

# field NAME: a number or a word of the last session.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([a-z0-9]*\).*/\1/p" <<<"$session"; }

# Names that artifacts may have, and no two alike: in a matrix, on another attempt, or used twice.
artifact_name() {
  local name=${DK_ARTIFACT_NAME:-diffkeeper}-${GITHUB_JOB:-job}
  if [ -n "${DK_JOB_INDEX:-}" ]; then name+=-$DK_JOB_INDEX; fi
  name+=-${GITHUB_RUN_ATTEMPT:-1}-$(od -An -N3 -tx1 /dev/urandom | tr -d ' ')
  printf '%s' "${name//[^A-Za-z0-9._-]/_}"
}

describe_trace() {
  session=$("$DK_BINARY" sessions --json --state-dir "$state_dir" | tail -n 1) || {
    trouble 'the trace cannot be read'
    return
  }
  output events "$(field events)"
  output gaps "$(field gaps)"
  output backend "$(field backend)"
  case $session in *'"faults":[]'*) ;; *) trouble 'the recorder had a fault; the trace may lack what came after it' ;; esac
}

describe_file() {
  artifact='' trace=$state_dir
  if [ -s "$DK_DIR/trace.dkpack" ]; then
    trace=$DK_DIR/trace.dkpack
    artifact=$(artifact_name)
  fi
  output trace-path "$trace"
  output trace-size "$(du -sb -- "$trace" | cut -f 1)"
  output artifact-name "$artifact"
}

# Where the trace is to be had, ahead of what it says.
summarise() {
  local file=${GITHUB_STEP_SUMMARY:-/dev/null}
  if [ -n "$artifact" ]; then
    # shellcheck disable=SC2016 # Markdown
    printf '### diffkeeper\n\nThe trace is the artifact `%s`:\n\n```sh\ngh run download %s -n %s\n```\n\n' \
      "$artifact" "${GITHUB_RUN_ID:-RUN}" "$artifact" >>"$file"
  fi
  "$DK_BINARY" summary --state-dir "$state_dir" --trace "${artifact:+trace.dkpack}" >>"$file" ||
    trouble 'the job summary could not be written'
}

annotate_all() {
  if [ -s "$DK_DIR/trouble" ]; then annotate warning "recorder: $(<"$DK_DIR/trouble")"; fi
  [ -n "$recorded" ] || return
  local gaps
  gaps=$(field gaps)
  if [ "${gaps:-0}" != 0 ]; then annotate warning "the trace has $gaps gaps: losses that the recorder knows of"; fi
  if [ "$status" != 0 ]; then
    annotate notice "the script ended with $status${artifact:+; its trace is the artifact $artifact}"
  fi
}

session='' artifact=''
if [ -n "$recorded" ]; then
  describe_trace
  describe_file
  if is_on "$DK_SUMMARY"; then summarise; fi
fi
if is_on "$DK_ANNOTATIONS"; then annotate_all; fi
if is_on "$DK_FAIL_ON_RECORDER_ERROR" && [ -s "${DK_DIR:-}/trouble" ]; then exit 125; fi
