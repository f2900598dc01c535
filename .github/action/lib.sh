# shellcheck shell=bash
# What the scripts of the action share: messages, and the directory that carries what one step
# leaves for the next.

# A text as the value of a workflow command: on one line, and never a command of its own.
escaped() {
  local text=$1
  text=${text//'%'/'%25'}
  text=${text//$'\r'/'%0D'}
  printf '%s' "${text//$'\n'/'%0A'}"
}

# annotate LEVEL TEXT
annotate() { printf '::%s title=diffkeeper::%s\n' "$1" "$(escaped "$2")"; }

# A fault of the recorder: told at once, and kept for the report, which annotates it.
trouble() {
  printf 'diffkeeper: %s\n' "$1" >&2
  if [ -d "${DK_DIR:-}" ]; then printf '%s\n' "$1" >>"$DK_DIR/trouble"; else annotate warning "$1"; fi
}

# Whether an input says yes.
is_on() { case ${1,,} in true | yes | on | 1) true ;; *) false ;; esac; }

# output NAME VALUE: values hold no line break, so that none can add an output of its own.
output() { printf '%s=%s\n' "$1" "${2//[$'\r\n']/ }" >>"${GITHUB_OUTPUT:-/dev/null}"; }
