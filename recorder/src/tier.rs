//! The tier: which source records, and why that one. The best comes first; each has to
//! prove with a canary that it delivers, and the next is tried if it does not.

use std::sync::Arc;

use diffkeeper_ebpf::loader::Tier;
use diffkeeper_ebpf::support::Facts;
use diffkeeper_store::model::Backend;

use crate::record::{Options, RecordError};
use crate::run::Channels;
use crate::scope::Scope;
use crate::source::{Kernel, Notify, Source};

/// Why a kernel tier is the best.
pub const KERNEL: &str = "every write on ext4 is captured in the kernel, with its process";
/// Why a tier is taken that was asked for.
const ASKED: &str = "asked for";
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
    let why_not = match kernel_lacks(options, scope) {
        Some(lack) => lack,
        None => match start(kernel(options, Tier::Tracepoint), scope, KERNEL.to_owned()) {
            Ok(chosen) => return Ok(chosen),
            Err(error) => error.to_string(),
        },
    };
    start(notify(options), scope, fallback(&why_not))
}

/// Why `notify` is taken where the kernel tiers do not work.
#[must_use]
pub fn fallback(why_not: &str) -> String {
    format!("contents are read after each change, by unknown processes, since {why_not}")
}

/// What keeps the kernel tiers from being tried.
fn kernel_lacks(options: &Options, scope: &Scope) -> Option<String> {
    let facts = Facts::of_this_host();
    let lacking = facts.lacking(options.wishes.btf.as_deref());
    match lacking.as_slice() {
        [] => Kernel::unsuited(scope),
        lacking => Some(lacking.join("; ")),
    }
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
