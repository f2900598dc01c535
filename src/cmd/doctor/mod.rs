//! `diffkeeper doctor`: what this machine can record: facts, the choice they lead to, and
//! why.

mod advice;
mod place;

use std::io::Write;
use std::process::ExitCode;

use diffkeeper_ebpf::loader::{self, Capture, Config as Capturing};
use diffkeeper_ebpf::support::{Facts, takes_fentry};
use diffkeeper_recorder::elevation;
use diffkeeper_recorder::tier::NO_FENTRY;

use self::advice::{Advice, Tier, Tried};
use self::place::Place;
use crate::cli;
use crate::config::Config;
use crate::error::CliError;
use crate::json::Object;
use crate::output::{Output, path_text, plain};

/// Runs the command.
///
/// # Errors
/// A directory that cannot be looked at.
pub(crate) fn run(args: &cli::Doctor, config: &Config) -> Result<ExitCode, CliError> {
    let facts = Facts::of_this_host();
    let watch = Place::of(&args.watch)?;
    let trace = place::of_new(&config.state_dir);
    let tried = facts.lacking(None).is_empty().then(|| try_both(&facts));
    let advice = advice::advise(&facts, tried, &watch, trace.as_ref());
    let mut output = Output::new(config);
    if args.json {
        object(&facts, &watch, &advice).write(&mut output)?;
    } else {
        let mut lines = fact_lines(&facts, &watch, trace.as_ref());
        lines.push(("kernel programs", advice.loading.to_owned()));
        write(&lines, &advice, &mut output)?;
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn try_both(facts: &Facts) -> Tried {
    Tried {
        fentry: match takes_fentry() {
            true => try_tier(loader::Tier::Fentry, facts),
            false => Err(NO_FENTRY.to_owned()),
        },
        tracepoint: try_tier(loader::Tier::Tracepoint, facts),
    }
}

/// Lets the kernel judge the programs of a tier, by a loader where this process may not;
/// nothing is attached.
fn try_tier(tier: loader::Tier, facts: &Facts) -> Result<(), String> {
    let config = Capturing {
        tier,
        ring_bytes: 1 << 18,
        ..Capturing::default()
    };
    if !facts.may_load() {
        let loaded = elevation::load(&config, &[]);
        return loaded.map(drop).map_err(|error| error.to_string());
    }
    let loaded = Capture::load(&config);
    loaded.map(drop).map_err(|error| error.to_string())
}

/// Facts first, then what follows from them.
fn write(
    facts: &[(&str, String)],
    advice: &Advice,
    output: &mut dyn Write,
) -> Result<(), CliError> {
    for (name, value) in facts {
        writeln!(output, "{name:<26} {}", plain(value))?;
    }
    writeln!(output)?;
    for tier in &advice.tiers {
        let Tier { name, works, why } = tier;
        let works = if *works { "yes" } else { "no" };
        writeln!(output, "{name:<12} {works:<4} {}", plain(why))?;
    }
    let (chosen, reason) = (advice.chosen, plain(&advice.reason));
    writeln!(output, "\n--backend auto takes {chosen}: {reason}")?;
    for warning in &advice.warnings {
        writeln!(output, "warning: {}", plain(warning))?;
    }
    Ok(())
}

fn fact_lines<'a>(facts: &Facts, watch: &Place, trace: Option<&Place>) -> Vec<(&'a str, String)> {
    let unknown = || "unknown".to_owned();
    let number = |n: Option<u64>| n.map_or_else(unknown, crate::output::grouped);
    let mut lines = vec![
        ("kernel", facts.kernel.clone().unwrap_or_else(unknown)),
        ("BTF", yes(facts.btf)),
        ("capabilities", capabilities(facts)),
        ("lockdown", facts.lockdown.clone().unwrap_or_else(unknown)),
        (
            "unprivileged_bpf_disabled",
            number(facts.unprivileged_bpf_disabled.map(u64::from)),
        ),
        ("program types", program_types()),
        ("cgroup", facts.cgroup.clone().unwrap_or_else(unknown)),
        (
            "container",
            facts
                .container
                .clone()
                .unwrap_or_else(|| "none seen".to_owned()),
        ),
        (
            "inotify max_user_watches",
            number(facts.inotify.max_user_watches),
        ),
        (
            "inotify max_user_instances",
            number(facts.inotify.max_user_instances),
        ),
        (
            "inotify max_queued_events",
            number(facts.inotify.max_queued_events),
        ),
        (
            "watched",
            format!("{} ({})", path_text(&watch.path), watch.filesystem),
        ),
    ];
    if let Some(trace) = trace {
        let free = diffkeeper_store::size::format_bytes(trace.free);
        lines.push((
            "trace",
            format!(
                "{} ({}, {free} free)",
                path_text(&trace.path),
                trace.filesystem
            ),
        ));
    }
    lines
}

/// Those that load.
fn program_types() -> String {
    match taken_types().as_slice() {
        [] => "none that the kernel takes from this user".to_owned(),
        taken => taken.join(", "),
    }
}

fn taken_types() -> Vec<String> {
    let types = diffkeeper_ebpf::support::program_types().into_iter();
    types
        .filter(|(_, takes)| *takes)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn yes(fact: bool) -> String {
    if fact { "yes" } else { "no" }.to_owned()
}

fn capabilities(facts: &Facts) -> String {
    let Some(found) = facts.capabilities else {
        return "unknown".to_owned();
    };
    let named = [
        (found.bpf, "CAP_BPF"),
        (found.perfmon, "CAP_PERFMON"),
        (found.sys_admin, "CAP_SYS_ADMIN"),
    ];
    let held: Vec<_> = named
        .iter()
        .filter(|(held, _)| *held)
        .map(|(_, name)| *name)
        .collect();
    match held.as_slice() {
        [] => "none that tracing needs".to_owned(),
        held => held.join(", "),
    }
}

fn object(facts: &Facts, watch: &Place, advice: &Advice) -> Object {
    let mut object = Object::default();
    object
        .set("chosen", advice.chosen)
        .set("reason", advice.reason.as_str())
        .set_some("kernel", facts.kernel.as_deref())
        .set("btf", facts.btf);
    if let Some(found) = facts.capabilities {
        object
            .set("cap_bpf", found.bpf)
            .set("cap_perfmon", found.perfmon)
            .set("cap_sys_admin", found.sys_admin);
    }
    object
        .set_some("lockdown", facts.lockdown.as_deref())
        .set_some("unprivileged_bpf_disabled", facts.unprivileged_bpf_disabled)
        .set("program_types", taken_types())
        .set("loading", advice.loading)
        .set_some("cgroup", facts.cgroup.as_deref())
        .set_some("container", facts.container.as_deref())
        .set_some("inotify_max_user_watches", facts.inotify.max_user_watches)
        .set_some(
            "inotify_max_user_instances",
            facts.inotify.max_user_instances,
        )
        .set_some("inotify_max_queued_events", facts.inotify.max_queued_events)
        .set_bytes("watch", watch.path.as_os_str().as_encoded_bytes())
        .set("watch_filesystem", watch.filesystem.as_str())
        .set("watch_free_bytes", watch.free)
        .set("warnings", advice.warnings.clone());
    let tier = |tier: &Tier| {
        let mut object = Object::default();
        object.set("tier", tier.name).set("works", tier.works);
        object.set("why", tier.why.as_str());
        serde_json::Value::from(object)
    };
    let tiers: Vec<_> = advice.tiers.iter().map(tier).collect();
    object.set("tiers", tiers);
    object
}
