//! The tier: which source records, and why that one. The best comes first; each has to
//! prove with a canary that it delivers, and the next is tried if it does not.

use std::sync::Arc;

use diffkeeper_ebpf::loader::Tier;
use diffkeeper_ebpf::support::{Facts, takes_fentry};
use diffkeeper_store::model::Backend;

use crate::elevation;
use crate::record::{Options, RecordError};
use crate::run::Channels;
use crate::scope::Scope;
use crate::source::{Kernel, Notify, Source, told_by};

/// What is added where another process loaded its programs.
const BY_SUDO: &str = "sudo -n ran the loader of its programs, and nothing else";
/// Why a tier is taken that was asked for.
const ASKED: &str = "asked for";
/// Why that tier is not tried where the kernel takes no such program at all.
pub const NO_FENTRY: &str = "the kernel takes no fentry programs from this process";
/// The kernel tiers: fentry tells more file systems and is told more under their locks.
pub const BEST_FIRST: [Tier; 2] = [Tier::Fentry, Tier::Tracepoint];
const NOT_BUILT: &str = "it is not part of this version";

/// A source that delivers.
pub(crate) struct Chosen {
    pub(crate) source: Box<dyn Source>,
    pub(crate) channels: Channels,
    /// Why it was taken.
    pub(crate) reason: String,
}

/// Starts the tier that was asked for, or the best that works.
pub(crate) fn choose(options: &Options, scope: &Arc<Scope>) -> Result<Chosen, RecordError> {
    match options.backend {
        Some(Backend::Fentry) => start(kernel(options, Tier::Fentry), scope, ASKED.to_owned()),
        Some(Backend::Tracepoint) => {
            start(kernel(options, Tier::Tracepoint), scope, ASKED.to_owned())
        }
        Some(_) => start(notify(options), scope, ASKED.to_owned()),
        None => best(options, scope),
    }
}

/// A kernel tier that was asked for by name is never silently replaced.
pub(crate) fn check(wanted: Option<Backend>) -> Result<(), RecordError> {
    match wanted {
        None | Some(Backend::Notify | Backend::Tracepoint | Backend::Fentry) => Ok(()),
        Some(backend) => Err(RecordError::Backend {
            backend,
            reason: NOT_BUILT,
        }),
    }
}

fn best(options: &Options, scope: &Arc<Scope>) -> Result<Chosen, RecordError> {
    let facts = Facts::of_this_host();
    let mut lacking = facts.lacking(options.wishes.btf.as_deref());
    if !facts.may_load() && !options.wishes.sudo {
        lacking.push(elevation::MISSING);
    }
    let mut why_not = lacking.join("; ");
    if lacking.is_empty() {
        for tier in BEST_FIRST {
            match attempt(tier, &facts, options, scope) {
                Ok(chosen) => return Ok(chosen),
                Err(error) => why_not = error,
            }
        }
    }
    start(notify(options), scope, fallback(&why_not))
}

/// Starts a kernel tier, or says what speaks against it.
fn attempt(
    tier: Tier,
    facts: &Facts,
    options: &Options,
    scope: &Arc<Scope>,
) -> Result<Chosen, String> {
    // Nor does the loader try it unless it is asked for.
    if tier == Tier::Fentry && !takes_fentry() {
        return Err(NO_FENTRY.to_owned());
    }
    if let Some(lack) = Kernel::unsuited(tier, scope) {
        return Err(lack);
    }
    let started = start(kernel(options, tier), scope, why(tier, facts.may_load()));
    started.map_err(|error| error.to_string())
}

/// Why a kernel tier is the best, and how it came to its programs.
#[must_use]
pub fn why(tier: Tier, may_load: bool) -> String {
    let kinds = told_by(tier).join(" and ");
    let why = format!("every write on {kinds} is captured in the kernel, with its process");
    match may_load {
        true => why,
        false => format!("{why}; {BY_SUDO}"),
    }
}

/// Why `notify` is taken where the kernel tiers do not work.
#[must_use]
pub fn fallback(why_not: &str) -> String {
    format!("contents are read after each change, by unknown processes, since {why_not}")
}

fn kernel(options: &Options, tier: Tier) -> Box<dyn Source> {
    let canaries = options.state_dir.join("canary");
    Box::new(Kernel::new(tier, canaries, options.wishes.clone()))
}

fn notify(options: &Options) -> Box<dyn Source> {
    Box::new(Notify::new(options.state_dir.join("canary")))
}

fn start(
    mut source: Box<dyn Source>,
    scope: &Arc<Scope>,
    reason: String,
) -> Result<Chosen, RecordError> {
    let channels = Channels::start(source.as_mut(), scope)?;
    Ok(Chosen {
        source,
        channels,
        reason,
    })
}
