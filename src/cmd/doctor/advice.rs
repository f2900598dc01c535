//! From facts to a choice: pure, so that every case can be tested anywhere.

use diffkeeper_ebpf::loader;
use diffkeeper_ebpf::support::Facts;
use diffkeeper_recorder::{elevation, source, tier};
use diffkeeper_store::size::format_bytes;

use super::place::Place;
use crate::output::{grouped, path_text};

/// A limit below these is met by trees and bursts that are nothing special.
const FEW_WATCHES: u64 = 65_536;
const FEW_INSTANCES: u64 = 64;
const FEW_QUEUED: u64 = 16_384;
/// A trace may need a copy of everything that is recorded.
const LITTLE_SPACE: u64 = 1 << 30;

/// What a tier can do here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tier {
    pub(super) name: &'static str,
    pub(super) works: bool,
    pub(super) why: String,
}

/// What follows from the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) tiers: Vec<Tier>,
    pub(super) chosen: &'static str,
    pub(super) reason: String,
    /// How the kernel programs come into the kernel.
    pub(super) loading: &'static str,
    pub(super) warnings: Vec<String>,
}

/// What became of loading the programs of the kernel tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) fentry: Result<(), String>,
    pub(super) tracepoint: Result<(), String>,
}

/// Decides. `tried` is there where there was any hope for the kernel tiers, by a loader where
/// this process may not; `trace` is where the trace would be kept, if that can be told.
pub(super) fn advise(
    facts: &Facts,
    tried: Option<Tried>,
    watch: &Place,
    trace: Option<&Place>,
) -> Advice {
    let tried = tried.map(|tried| [tried.fentry, tried.tracepoint]);
    let [for_fentry, for_tracepoint] = tried.map_or([None, None], |tried| tried.map(Some));
    let fentry = tier_of("fentry", loader::Tier::Fentry, for_fentry, facts);
    let tracepoint = tier_of(
        "tracepoint",
        loader::Tier::Tracepoint,
        for_tracepoint,
        facts,
    );
    let notify = Tier {
        name: "notify",
        works: true,
        why: "contents are observed after each change; processes are unknown".to_owned(),
    };
    let may_load = facts.may_load();
    let (chosen, reason) = choose([&fentry, &tracepoint], may_load, (watch, trace));
    let works = fentry.works || tracepoint.works;
    Advice {
        tiers: vec![fentry, tracepoint, notify],
        chosen,
        reason,
        loading: loading(facts, works),
        warnings: warnings(facts, watch, trace),
    }
}

fn tier_of(
    name: &'static str,
    tier: loader::Tier,
    tried: Option<Result<(), String>>,
    facts: &Facts,
) -> Tier {
    Tier {
        name,
        works: matches!(tried, Some(Ok(()))),
        why: match tried {
            Some(Ok(())) => format!(
                "the kernel takes its programs: writes on {} are captured, with their processes",
                source::told_by(tier).join(" and ")
            ),
            Some(Err(error)) => error,
            None => kernel_ground(facts),
        },
    }
}

/// What `auto` takes, and why: as the recorder's own choice goes.
fn choose(
    tiers: [&Tier; 2],
    may_load: bool,
    (watch, trace): (&Place, Option<&Place>),
) -> (&'static str, String) {
    let mut why_not = String::new();
    for (tier, kind) in tiers.into_iter().zip(tier::BEST_FIRST) {
        let kinds = source::told_by(kind);
        let mut places = [Some(watch), trace].into_iter().flatten();
        let elsewhere = places.find(|place| !kinds.contains(&place.filesystem.as_str()));
        match elsewhere {
            _ if !tier.works => why_not.clone_from(&tier.why),
            None => return (tier.name, tier::why(kind, may_load)),
            Some(place) => {
                let path = path_text(&place.path);
                why_not = format!("{path} is not on {}", kinds.join(" or "));
            }
        }
    }
    ("notify", tier::fallback(&why_not))
}

/// What the kernel tiers would find here.
fn kernel_ground(facts: &Facts) -> String {
    let mut lacking = facts.lacking(None);
    if !facts.may_load() {
        lacking.push(elevation::MISSING);
    }
    match lacking.as_slice() {
        [] => "this machine has BTF and the capabilities".to_owned(),
        lacking => lacking.join("; "),
    }
}

/// How the programs would come into the kernel, as `tried` has shown.
fn loading(facts: &Facts, works: bool) -> &'static str {
    match (facts.may_load(), works) {
        (true, _) => "this process may load them itself",
        (false, true) => "by a loader that sudo -n elevates",
        (false, false) => "not here",
    }
}

fn warnings(facts: &Facts, watch: &Place, trace: Option<&Place>) -> Vec<String> {
    let inotify = facts.inotify;
    let limits = [
        (
            inotify.max_user_watches,
            FEW_WATCHES,
            "max_user_watches",
            "directories beyond it go unannounced",
        ),
        (
            inotify.max_user_instances,
            FEW_INSTANCES,
            "max_user_instances",
            "few programs can watch at once",
        ),
        (
            inotify.max_queued_events,
            FEW_QUEUED,
            "max_queued_events",
            "a burst of changes may overflow it",
        ),
    ];
    let mut warnings = Vec::new();
    for (limit, few, name, effect) in limits {
        if let Some(limit) = limit.filter(|limit| *limit < few) {
            warnings.push(format!(
                "fs.inotify.{name} is {}: {effect}; raise it with `sysctl fs.inotify.{name}={few}`",
                grouped(limit)
            ));
        }
    }
    if watch.is_remote {
        warnings.push(format!(
            "{} is on {}: changes made by other machines are not announced",
            path_text(&watch.path),
            watch.filesystem
        ));
    }
    if let Some(trace) = trace.filter(|trace| trace.free < LITTLE_SPACE) {
        warnings.push(format!(
            "only {} are free for the trace at {}",
            format_bytes(trace.free),
            path_text(&trace.path)
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::{Advice, Tried, advise, loading};
    use crate::cmd::doctor::place::Place;
    use diffkeeper_ebpf::support::{Capabilities, Facts, Inotify};

    fn place() -> Place {
        Place {
            path: "/w".into(),
            filesystem: "ext4".to_owned(),
            is_remote: false,
            free: 1 << 40,
        }
    }

    fn well() -> Facts {
        Facts {
            btf: true,
            capabilities: Some(Capabilities::from_mask(u64::MAX)),
            inotify: Inotify {
                max_user_watches: Some(1 << 20),
                max_user_instances: Some(1024),
                max_queued_events: Some(1 << 20),
            },
            ..Facts::default()
        }
    }

    fn why(advice: &Advice, name: &str) -> String {
        let tier = advice.tiers.iter().find(|tier| tier.name == name);
        tier.map(|tier| tier.why.clone()).unwrap_or_default()
    }

    fn tried(fentry: bool, tracepoint: bool) -> Option<Tried> {
        let result = |works| {
            if works {
                Ok(())
            } else {
                Err("refused".to_owned())
            }
        };
        Some(Tried {
            fentry: result(fentry),
            tracepoint: result(tracepoint),
        })
    }

    #[test]
    fn only_what_works_is_chosen() {
        for facts in [well(), Facts::default()] {
            for (fentry, tracepoint) in [(false, false), (false, true), (true, false)] {
                let advice = advise(&facts, tried(fentry, tracepoint), &place(), None);
                let works = |name| advice.tiers.iter().any(|t| t.name == name && t.works);
                assert!(works(advice.chosen));
                assert_eq!((works("fentry"), works("tracepoint")), (fentry, tracepoint));
                assert!(!advice.reason.is_empty());
            }
            assert_eq!(advise(&facts, None, &place(), None).chosen, "notify");
        }
    }

    #[test]
    fn the_best_that_works_is_chosen_for_the_file_system() {
        let chosen = |fentry, watch: &Place, trace: Option<&Place>| {
            advise(&well(), tried(fentry, true), watch, trace).chosen
        };
        let on = |filesystem: &str| Place {
            filesystem: filesystem.to_owned(),
            ..place()
        };
        assert_eq!(chosen(false, &place(), None), "tracepoint");
        assert_eq!(chosen(false, &place(), Some(&on("tmpfs"))), "notify");
        assert_eq!(chosen(false, &on("tmpfs"), Some(&place())), "notify");
        assert_eq!(chosen(true, &place(), None), "fentry");
        assert_eq!(chosen(true, &on("tmpfs"), Some(&place())), "fentry");
        assert_eq!(chosen(true, &on("btrfs"), Some(&place())), "notify");
        let advice = advise(&well(), tried(false, false), &place(), None);
        assert!(advice.reason.contains("refused"), "{}", advice.reason);
    }

    #[test]
    fn what_a_kernel_tier_would_lack_is_named() {
        assert!(why(&advise(&well(), None, &place(), None), "fentry").contains("has BTF"));
        let mut facts = well();
        facts.capabilities = Some(Capabilities::default());
        facts.lockdown = Some("confidentiality".to_owned());
        let why = why(&advise(&facts, None, &place(), None), "tracepoint");
        for part in ["CAP_BPF", "sudo", "lockdown"] {
            assert!(why.contains(part), "{part}: {why}");
        }
    }

    #[test]
    fn a_loader_that_is_elevated_is_told() {
        let mut facts = well();
        facts.capabilities = Some(Capabilities::default());
        let advice = advise(&facts, tried(false, true), &place(), None);
        assert_eq!(advice.chosen, "tracepoint");
        assert!(advice.reason.contains("sudo -n"), "{}", advice.reason);
        assert!(loading(&facts, true).contains("sudo -n"));
        assert_eq!(loading(&facts, false), "not here");
        assert!(!loading(&well(), true).contains("sudo"));
    }

    #[test]
    fn low_limits_are_warned_about_and_high_ones_are_not() {
        assert_eq!(
            advise(&well(), None, &place(), Some(&place())).warnings,
            [""; 0]
        );
        let mut facts = well();
        facts.inotify.max_user_watches = Some(8192);
        facts.inotify.max_queued_events = Some(100);
        let mut poor = place();
        (poor.free, poor.is_remote) = (1, true);
        let warnings = advise(&facts, None, &poor, Some(&poor)).warnings.join("\n");
        for part in [
            "max_user_watches is 8,192",
            "max_queued_events",
            "other machines",
            "1B are free",
        ] {
            assert!(warnings.contains(part), "{part}: {warnings}");
        }
        assert!(!warnings.contains("instances"));
    }
}
