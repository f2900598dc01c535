//! Shapes: what tokens look like that somebody gave out for a purpose, by their beginnings.
//!
//! A shape with a telling beginning counts from four further characters on, so that no part
//! of such a token that was cut off is taken for harmless. The others count whole; at the
//! end of what is known so far also their beginnings do, since the rest may follow.

use regex::bytes::{Regex, RegexBuilder};

/// Tokens whose beginning tells what they are.
const TELLING: &[&str] = &[
    "AKIA[A-Z0-9]{4,}",
    "gh[pousr]_[A-Za-z0-9]{4,}",
    "github_pat_[A-Za-z0-9_]{4,}",
    "gl(?:pat|dt|rt|cbt|ptt|imt|agent|soat)-[A-Za-z0-9_.-]{4,}",
    "xox[abeoprs]-[A-Za-z0-9-]{4,}",
    "xapp-[0-9]-[A-Za-z0-9-]{4,}",
    r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{4,}",
    "[rs]k_(?:live|test)_[A-Za-z0-9]{4,}",
    "whsec_[A-Za-z0-9+/=]{4,}",
    "AIza[A-Za-z0-9_-]{4,}",
    "GOCSPX-[A-Za-z0-9_-]{4,}",
    r"ya29\.[A-Za-z0-9_-]{4,}",
    "pypi-AgE[A-Za-z0-9_-]{4,}",
    "do[opr]_v1_[0-9a-f]{4,}",
    "sk-(?:proj|svcacct|admin|ant|or)-[A-Za-z0-9_-]{4,}",
    r"discord(?:app)?\.com/api/webhooks/[0-9]{4,}/[A-Za-z0-9_-]{4,}",
    "shp(?:at|ca|pa|ss)_[0-9a-fA-F]{4,}",
    "sq0[a-z]{3}-[A-Za-z0-9_-]{4,}",
    r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9]{4,}",
    "lin_(?:api|oauth)_[A-Za-z0-9]{4,}",
    "PMAK-[A-Za-z0-9-]{4,}",
    "NR(?:AK|JS|II)-[A-Z0-9]{4,}",
    "glsa_[A-Za-z0-9_]{4,}",
    "AGE-SECRET-KEY-1[A-Z0-9]{4,}",
    "rubygems_[0-9a-f]{8,}",
    "dckr_(?:pat|oat)_[A-Za-z0-9_-]{4,}",
    "AT[AC]TT3[A-Za-z0-9_=-]{4,}",
    "HRKU-[A-Za-z0-9_-]{4,}",
    "pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{4,}",
    "sntry[su]_[A-Za-z0-9_+/=-]{4,}",
    "figd_[A-Za-z0-9_-]{4,}",
    "AKCp[A-Za-z0-9]{8,}",
    r"\.atlasv1\.[A-Za-z0-9_=-]{4,}",
];

/// Tokens that count whole, and what their beginnings look like at the end of a text.
const WHOLE: &[(&str, &str)] = &[
    (
        "(?:ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA)[A-Z0-9]{16}",
        "(?:ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA)[A-Z0-9]{4,}",
    ),
    ("npm_[A-Za-z0-9]{30,}", "npm_[A-Za-z0-9]{4,}"),
    ("pypi-[A-Za-z0-9_-]{40,}", "pypi-[A-Za-z0-9_-]{4,}"),
    (
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
        r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,2}",
    ),
    (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.)*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?s:.)*",
    ),
    (
        "PuTTY-User-Key-File-[0-9]:(?s:.)*?Private-MAC: [0-9a-f]+",
        "PuTTY-User-Key-File-[0-9]:(?s:.)*",
    ),
    (r"\b(?:SK|AC)[0-9a-f]{32}", r"\b(?:SK|AC)[0-9a-f]{4,}"),
    (
        r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"SG\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?",
    ),
    (r"\bkey-[0-9a-f]{32}", r"\bkey-[0-9a-f]{4,}"),
    (r"\bsk-[A-Za-z0-9]{20,}", r"\bsk-[A-Za-z0-9]{4,}"),
    (r"\bhf_[A-Za-z0-9]{30,}", r"\bhf_[A-Za-z0-9]{4,}"),
    (r"\bgsk_[A-Za-z0-9]{30,}", r"\bgsk_[A-Za-z0-9]{4,}"),
    (r"\bglc_[A-Za-z0-9+/=]{32,}", r"\bglc_[A-Za-z0-9+/=]{4,}"),
    (r"\bdapi[0-9a-f]{32}", r"\bdapi[0-9a-f]{4,}"),
    (r"\bcio[A-Za-z0-9]{32}", r"\bcio[A-Za-z0-9]{8,}"),
    (r"\bsbp_[0-9a-f]{40}", r"\bsbp_[0-9a-f]{4,}"),
    (r"\bEAAA[A-Za-z0-9_-]{50,}", r"\bEAAA[A-Za-z0-9_-]{8,}"),
    (
        r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}",
        r"\bhv[sbr]\.[A-Za-z0-9_-]{4,}",
    ),
    (r"\b1//0[A-Za-z0-9_-]{30,}", r"\b1//0[A-Za-z0-9_-]{4,}"),
    (
        r"[0-9]Q~[A-Za-z0-9_~.-]{31,}",
        r"[0-9]Q~[A-Za-z0-9_~.-]{4,}",
    ),
    (r":AA[A-Za-z0-9_-]{32,}", r":AA[A-Za-z0-9_-]{4,}"),
];

/// Values that only what stands before them gives away: the group is the secret. The second
/// number is the fewest characters of a whole one.
const NAMED: &[(&str, &str, u32)] = &[
    (
        r#"(?i:secret_?access_?key|aws_?secret)["']?\s{0,4}(?:=|:|=>)\s{0,4}["']?"#,
        "[A-Za-z0-9/+=]",
        16,
    ),
    (
        r"(?i:AccountKey|SharedAccessKey)\s{0,4}=\s{0,4}",
        "[A-Za-z0-9+/=]",
        16,
    ),
    (r"[?&;]sig=", "[A-Za-z0-9%+/=_-]", 20),
    (
        r#"(?i:auth_?token)["']?\s{0,4}[=:]\s{0,4}["']?"#,
        "[A-Za-z0-9_./+=-]",
        16,
    ),
    (
        r#"(?i:authorization)["']?\s{0,4}[=:]\s{0,4}["']?(?i:basic|bearer|token)\s{1,4}"#,
        "[A-Za-z0-9_.~/+=-]",
        8,
    ),
    (r"(?i:bearer)\s{1,4}", "[A-Za-z0-9_.~/+=-]", 20),
];

/// The password of an URL; it ends before the `@`, and a mask is none.
const IN_URL: &str = r"://[^/\s:@]{0,64}:([^/\s:@*][^/\s:@]{2,256})@";
/// Known by its end.
const BY_END: &str = r"\b[0-9a-f]{32}-us[0-9]{1,2}";

/// The shapes, ready to search with.
pub(super) struct Shapes {
    /// Whole tokens; the match is the secret.
    pub(super) plain: Vec<Regex>,
    /// Whole values; the group that took part is the secret.
    pub(super) named: Vec<Regex>,
    /// Beginnings at the end of the text, of tokens and of values.
    pub(super) begun: Regex,
    pub(super) begun_named: Regex,
}

impl Shapes {
    pub(super) fn new() -> Result<Self, regex::Error> {
        let whole = WHOLE.iter().map(|(whole, _)| (*whole).to_owned());
        let tokens = TELLING.iter().map(|shape| (*shape).to_owned()).chain(whole);
        let named = NAMED
            .iter()
            .map(|(name, class, least)| format!("{name}({class}{{{least},}})"));
        let begun = WHOLE.iter().map(|(_, begun)| (*begun).to_owned());
        let begun_named = NAMED
            .iter()
            .map(|(name, class, _)| format!("{name}({class}{{4,}})"));
        Ok(Self {
            plain: vec![compile(&any(tokens))?, compile(BY_END)?],
            named: vec![compile(&any(named))?, compile(IN_URL)?],
            begun: compile(&format!(r"(?:{})\z", any(begun)))?,
            begun_named: compile(&format!(r"(?:{})\z", any(begun_named)))?,
        })
    }
}

fn any(shapes: impl Iterator<Item = String>) -> String {
    shapes.collect::<Vec<_>>().join("|")
}

/// Bytes and not characters: what is searched need not be text.
fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .dfa_size_limit(16 << 20)
        .build()
}
