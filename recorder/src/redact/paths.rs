//! Paths: files that are secret by where they stand.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet};

use crate::scope::{Patterns, Scope};

/// Where programs keep what lets one in; wherever the directories lie.
const KNOWN: &[&str] = &[
    "**/.env",
    "**/.env.*",
    "**/*.env",
    "**/.ssh/**",
    "**/.gnupg/**",
    "**/id_{rsa,dsa,ecdsa,ed25519,ecdsa_sk,ed25519_sk}",
    "**/{.,_}netrc",
    "**/.aws/{credentials,config}",
    "**/.aws/{sso,cli}/cache/**",
    "**/.azure/**",
    "**/.config/gcloud/**",
    "**/.config/gh/hosts.yml",
    "**/.config/hub",
    "**/.docker/config.json",
    "**/.dockercfg",
    "**/.kube/config",
    "**/.npmrc",
    "**/.yarnrc.yml",
    "**/.pypirc",
    "**/.gem/credentials",
    "**/.cargo/credentials",
    "**/.cargo/credentials.toml",
    "**/.m2/settings.xml",
    "**/.git-credentials",
    "**/.pgpass",
    "**/.my.cnf",
    "**/.htpasswd",
    "**/.vault-token",
    "**/.terraformrc",
    "**/.terraform.d/credentials.tfrc.json",
    "**/*.{p12,pfx,jks,keystore,kdbx}",
];

pub(super) struct Denied {
    known: GlobSet,
    own: Patterns,
}

impl Denied {
    pub(super) fn new(own: &[String]) -> Result<Self, globset::Error> {
        let mut known = GlobSet::builder();
        for pattern in KNOWN {
            known.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
        }
        Ok(Self {
            known: known.build()?,
            own: Patterns::new(own)?,
        })
    }

    pub(super) fn holds(&self, scope: &Scope, path: &Path) -> bool {
        let absolute = path.as_os_str().as_bytes();
        let known = self.known.is_match(std::ffi::OsStr::from_bytes(
            absolute.strip_prefix(b"/").unwrap_or(absolute),
        ));
        let located = scope.locate(path);
        known || located.is_some_and(|(_, relative)| self.own.hold(relative))
    }
}
