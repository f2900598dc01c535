//! The command line as clap reads it: types and help texts, nothing is resolved here.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Flight recorder and timeline debugger for files: record a command, then look at every
/// change it made below a directory, at any instant.
#[derive(Debug, Parser)]
#[command(name = "diffkeeper", version, max_term_width = 100)]
#[command(disable_help_subcommand = true, subcommand_required = true)]
#[command(arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
WHEN is start, latest, a duration from the start (2s, 500ms, 2m14s, 1.5s; the state after every
event up to then), -5s (before the end), #1234 (after that event) or an RFC 3339 time.

Exit status: 0 done; 1 a negative finding (damage, a PATH whose content was not recorded, a difference
with --exit-code); 2 a request that cannot be met; 125 the recorder failed before the command
ran; 126, 127 the command could not be run or found; after `record`, the command's own.";

/// Options that every command takes.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Directory of the trace, or a packed trace to read
    /// [default: $DIFFKEEPER_STATE_DIR, else ./diffkeeper-trace]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state_dir: Option<PathBuf>,
    /// When to colour the output; NO_COLOR is honoured
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub(crate) color: Color,
    /// Tell more on stderr; twice for details (or a filter in $DIFFKEEPER_LOG)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// Nothing on stderr but warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command and record every change below a directory
    Record(Record),
    /// Bring a directory back as it was last, then run a command in it and record on
    Run(Run),
    /// List what happened, in order
    Timeline(Timeline),
    /// Look at a session in the terminal: scrub through time, see what changed and who did it
    Tui(Tui),
    /// Write a file as it was to stdout
    Show(Show),
    /// Show what changed between two instants
    Diff(Diff),
    /// Write the tree as it was into a new directory
    Export(Export),
    /// Make a directory be the tree as it was
    Restore(Restore),
    /// List the recorded sessions
    Sessions(Listing),
    /// List the processes of a session as a tree, with what each one wrote
    Processes(Processes),
    /// Sum a session up in Markdown, as for the page of a CI job
    Summary(Summary),
    /// Check every record, content and hash of the trace
    Verify(Verify),
    /// Give up sessions, or the beginning of one
    Prune(Prune),
    /// Remove the blobs that no session names
    Gc(Gc),
    /// Write sessions, with all they need, into one file to share
    Pack(Pack),
    /// Make a state directory of a packed trace
    Unpack(Unpack),
    /// Say what this machine can record, and why
    Doctor(Doctor),
    /// Record a flaky test and find its culprit, as an example
    Demo(Demo),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print a manual page
    Man(Man),
    /// Continue whom a recorder that died held back; the recorder starts it itself
    #[command(hide = true)]
    Watchdog,
    /// Load kernel programs for a recorder that may not; the recorder starts it by sudo itself
    #[command(hide = true)]
    Loader,
}

/// Which session of the trace.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct SessionArg {
    /// Session to read [default: the last one]
    #[arg(long, value_name = "N")]
    pub(crate) session: Option<u32>,
}

/// `record`
#[derive(Args, Debug)]
pub(crate) struct Record {
    /// Directory to record, with all below it; may be given again [default: .]
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Vec<PathBuf>,
    /// Leave out what matches, relative to its --watch directory; may be given again
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<OsString>,
    /// How to capture; auto takes the best that works here (see `diffkeeper doctor`)
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Backend,
    /// Fail if the recorder has a fault, instead of passing on the command's status
    #[arg(long)]
    pub(crate) strict: bool,
    /// Record stdout and stderr as events too; the command then writes to pipes
    #[arg(long)]
    pub(crate) output: bool,
    /// Do not record which files are opened for reading and read (kernel tiers)
    #[arg(long)]
    pub(crate) no_reads: bool,
    /// Memory between the kernel and the recorder, a power of two (kernel tiers)
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = ring_size)]
    pub(crate) ring_size: u32,
    /// The kernel's types, where /sys/kernel/btf/vmlinux is missing (kernel tiers)
    #[arg(long, value_name = "FILE")]
    pub(crate) btf: Option<PathBuf>,
    /// Do not ask `sudo -n` to load the kernel programs where a privilege is missing
    #[arg(long)]
    pub(crate) no_sudo: bool,
    /// What a committed event survives
    #[arg(long, value_enum, default_value_t)]
    pub(crate) durability: Durability,
    /// Leave out the contents of files longer than this, as in 100MiB; each is a gap
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_file: Option<String>,
    /// Give up the oldest events, and earlier sessions first, when the trace weighs more, as in
    /// 200MB; what remains starts with the state that stood then
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<String>,
    /// Mask what looks like a secret: values of variables such as *_TOKEN, known tokens, and
    /// files such as .env
    #[arg(long)]
    pub(crate) redact: bool,
    /// Mask the value of this variable too; may be given again; implies --redact
    #[arg(long, value_name = "NAME")]
    pub(crate) redact_env: Vec<OsString>,
    /// Mask the contents of what matches, relative to its --watch directory; may be given
    /// again; implies --redact
    #[arg(long, value_name = "GLOB")]
    pub(crate) redact_path: Vec<OsString>,
    /// The command with its arguments, after --
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

fn ring_size(text: &str) -> Result<u32, String> {
    let bytes = diffkeeper_store::size::parse_bytes(text).map_err(|error| error.to_string())?;
    match u32::try_from(bytes) {
        Ok(bytes) if bytes.is_power_of_two() && bytes >= 256 << 10 => Ok(bytes),
        _ => Err("a power of two from 256KiB to 2GiB is needed".to_owned()),
    }
}

/// `run`
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Directory to keep; made if it is not there. What it holds beside the newest recorded state is
    /// removed, apart from what matches --exclude
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: PathBuf,
    /// Leave out what matches, relative to the directory; may be given again
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<OsString>,
    /// How to capture; auto takes the best that works here (see `diffkeeper doctor`)
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Backend,
    /// What a committed event survives
    #[arg(long, value_enum, default_value_t)]
    pub(crate) durability: Durability,
    /// Memory between the kernel and the recorder, a power of two (kernel tiers)
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = ring_size)]
    pub(crate) ring_size: u32,
    /// Do not ask `sudo -n` to load the kernel programs where a privilege is missing
    #[arg(long)]
    pub(crate) no_sudo: bool,
    /// History to keep beside the current state: of an age as in 10m, a number of events, or a
    /// size as in 1GiB [default: all]
    #[arg(long, value_name = "HOW MUCH")]
    pub(crate) keep: Option<String>,
    /// Serve /metrics, /healthz and /readyz there, as in 127.0.0.1:9911 or :9911
    /// [default: $DIFFKEEPER_METRICS_ADDR, else nowhere]
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics_addr: Option<String>,
    /// What to do if the newest state is damaged
    #[arg(long, value_enum, default_value_t)]
    pub(crate) on_damage: OnDamage,
    /// The command with its arguments, after --
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// What to do about damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDamage {
    /// Do not start
    #[default]
    Refuse,
    /// Take the newest undamaged state
    LastGood,
}

/// What a committed event survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// The death of the recorder
    #[default]
    Crash,
    /// The loss of power too, a second or 8 MB later
    Power,
}

/// How to capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// The best that works
    #[default]
    Auto,
    /// eBPF on function entries and exits
    Fentry,
    /// eBPF on tracepoints
    Tracepoint,
    /// File notifications of the operating system
    Notify,
}

const FILTER_HELP: &str = "\
Filters: terms side by side must all hold; `or`, `not` (or a leading -) and parentheses combine
them. A value may be \"quoted\" or a /regular expression/; `=` and `!=` compare as well as `:`.
  path:src/**/*.log   glob from the top; without wildcards the path and all below it
  op:write,rename     create mkdir mknod symlink link unlink rmdir rename write truncate chmod
                      chown utimes setxattr removexattr open read exec exit output marker gap
  size>1MiB  len:..4KiB  offset:0  seq:10..20  t:2m..2m14s
  pid=44  uid:0  comm=go  exe:cargo
  ancestor=44         by this process or one that descends from it; ancestor:make by its name
  content:\"ERROR\"     in the file as the event left it, or in an output
  provenance:observed captured, observed, missing
  reason:overflow  stream:stderr
  word                in the path, an output or a marker";

/// `timeline`
#[derive(Args, Debug)]
#[command(after_help = FILTER_HELP)]
pub(crate) struct Timeline {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// Only events from this WHEN on
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// Only events up to this WHEN
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// Only events that match, as in 'path:**/*.log op:write,rename size>1MiB'
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) filter: Option<String>,
    /// Last event first
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Go on with new events as they are recorded, until the session ends
    #[arg(short, long, conflicts_with_all = ["reverse", "to"])]
    pub(crate) follow: bool,
    /// Stop after so many events
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tui`
#[derive(Args, Debug)]
#[command(after_help = FILTER_HELP)]
pub(crate) struct Tui {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// The instant to begin at [default: the last failure, else the last write]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// The file whose content is shown [default: that of the event]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Only events that match, as in 'path:**/*.log op:write,rename size>1MiB'
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) filter: Option<String>,
    /// Keys and theme [default: ~/.config/diffkeeper/tui.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `show`
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// The instant
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    pub(crate) time: String,
    /// The file, from the top of the recorded directory
    pub(crate) path: PathBuf,
}

/// `diff`
#[derive(Args, Debug)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// The instant before
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "start",
        allow_hyphen_values = true
    )]
    pub(crate) from: String,
    /// The instant after
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    pub(crate) to: String,
    /// Show the bytes that differ
    #[arg(long)]
    pub(crate) hex: bool,
    /// Only count what changed, file by file
    #[arg(long, conflicts_with = "hex")]
    pub(crate) stat: bool,
    /// Exit with status 1 if anything differs
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Lines (with --hex, rows) of context
    #[arg(short = 'U', long = "unified", value_name = "N", default_value_t = 3)]
    pub(crate) context: usize,
    /// One JSON object a line
    #[arg(long, conflicts_with_all = ["hex", "stat"])]
    pub(crate) json: bool,
    /// Only these files, and what is below these directories
    pub(crate) path: Vec<PathBuf>,
}

/// `export`
#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// Where to; must not exist or be empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The instant
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    pub(crate) time: String,
    /// Take contents that a thin pack left out from files below DIR that have them; may be
    /// given again
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Vec<PathBuf>,
    /// Only what matches, with the directories above it
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Option<OsString>,
}

/// `restore`
#[derive(Args, Debug)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// The directory; made if it is not there. Files that are right stay as they are
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// The instant
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    pub(crate) time: String,
    /// Take contents that a thin pack left out from files below DIR that have them; may be
    /// given again
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Vec<PathBuf>,
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove what the trace does not hold, apart from what its recording left out
    #[arg(long)]
    pub(crate) delete: bool,
    /// List the plan, one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A plain listing.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Listing {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `processes`
#[derive(Args, Debug)]
#[command(after_help = FILTER_HELP)]
pub(crate) struct Processes {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// Only processes with events that match, and only these are counted; a filter of
    /// nothing but pid, uid, comm, exe and ancestor takes processes without events too
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) filter: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `summary`
#[derive(Args, Debug)]
pub(crate) struct Summary {
    #[command(flatten)]
    pub(crate) session: SessionArg,
    /// What the trace is called where the summary is read [default: as it is called here]
    #[arg(long, value_name = "NAME")]
    pub(crate) trace: Option<PathBuf>,
}

/// `verify`
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Only this session [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) session: Option<u32>,
    /// First make a damaged trace one that opens: what is lost is cut off, with a gap in its
    /// place, and the trace as it was is kept in DIR/damaged-N
    #[arg(long)]
    pub(crate) repair: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// What every command takes that gives something up.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Destructive {
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `prune`
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
pub(crate) struct Prune {
    /// Remove all sessions but the last N
    #[arg(long, value_name = "N", group = "what", conflicts_with_all = ["session", "before"])]
    pub(crate) keep_sessions: Option<usize>,
    /// Remove this session, or with --before only its beginning; may be given again
    #[arg(long, value_name = "N", group = "what")]
    pub(crate) session: Vec<u32>,
    /// Remove what was before this WHEN, in the last session or in those of --session; the
    /// states from there on stay
    #[arg(long, value_name = "WHEN", group = "what", allow_hyphen_values = true)]
    pub(crate) before: Option<String>,
    #[command(flatten)]
    pub(crate) how: Destructive,
}

/// `gc`
#[derive(Args, Debug)]
pub(crate) struct Gc {
    #[command(flatten)]
    pub(crate) how: Destructive,
}

/// `pack`
#[derive(Args, Debug)]
pub(crate) struct Pack {
    /// Session to pack; may be given again [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) session: Vec<u32>,
    /// Leave out contents that were there before and never changed, where the git commit
    /// that is checked out supplies them
    #[arg(long)]
    pub(crate) thin: bool,
    /// With --thin: leave out what files below DIR supply, instead; may be given again
    #[arg(long, value_name = "DIR", requires = "thin")]
    pub(crate) from: Vec<PathBuf>,
    /// Pack nothing if anything in it looks like a secret, instead of warning
    #[arg(long)]
    pub(crate) refuse_secrets: bool,
    /// Where to; a pack that is there is replaced [default: the name of the trace with
    /// .dkpack, here]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `unpack`
#[derive(Args, Debug)]
pub(crate) struct Unpack {
    /// The packed trace
    pub(crate) file: PathBuf,
    /// The new state directory; must not exist or be empty
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

/// `doctor`
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Directory that is to be recorded
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) watch: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `demo`
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Be the flaky test
    #[arg(long, hide = true)]
    pub(crate) flaky_ci_test: bool,
}

/// `completions`
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// `man`
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Command to describe [default: the program as a whole]
    pub(crate) command: Option<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}
