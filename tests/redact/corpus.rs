//! The corpus: 200 made-up secrets of 20 shapes.

use diffkeeper_demo::rng::Rng;

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &[u8] = b"0123456789abcdef";
const URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One secret.
pub(crate) struct Secret {
    /// What stands before it, where that is what gives it away.
    pub(crate) before: &'static str,
    pub(crate) text: String,
    /// How much of its beginning says what it is.
    pub(crate) prefix: usize,
}

impl Secret {
    /// It may be (a part of) a name.
    pub(crate) fn is_name(&self) -> bool {
        self.before.is_empty() && !self.text.contains(['/', '\n']) && self.text.len() < 200
    }

    /// Both halves of it, cut behind what says what it is.
    pub(crate) fn halves(&self) -> (&str, &str) {
        let at = self.prefix + (self.text.len() - self.prefix) / 2;
        self.text.split_at(at)
    }
}

struct Maker(Rng);

impl Maker {
    fn of(&mut self, letters: &[u8], len: usize) -> String {
        let letter = |_| char::from(*self.0.pick(letters).unwrap_or(&b'x'));
        (0..len).map(letter).collect()
    }

    fn key(&mut self, kind: &str) -> Secret {
        let lines: Vec<String> = (0..25).map(|_| self.of(BASE64, 64)).collect();
        let begin = format!("-----BEGIN {kind} PRIVATE KEY-----\n");
        Secret {
            before: "",
            prefix: begin.len(),
            text: format!(
                "{begin}{}\n-----END {kind} PRIVATE KEY-----",
                lines.join("\n")
            ),
        }
    }

    fn token(&mut self, prefix: &str, letters: &[u8], len: usize) -> Secret {
        Secret {
            before: "",
            prefix: prefix.len(),
            text: format!("{prefix}{}", self.of(letters, len)),
        }
    }

    fn named(&mut self, before: &'static str, letters: &[u8], len: usize) -> Secret {
        Secret {
            before,
            prefix: 0,
            text: self.of(letters, len),
        }
    }

    fn shape(&mut self, shape: usize) -> Secret {
        match shape {
            0 => self.token("AKIA", UPPER, 16),
            1 => self.token("ASIA", UPPER, 16),
            2 => self.named("aws_secret_access_key = ", BASE64, 40),
            3 => self.token("ghp_", ALNUM, 36),
            4 => self.token("github_pat_", ALNUM, 82),
            5 => self.token("glpat-", URL, 20),
            6 => {
                let team = self.of(b"0123456789", 11);
                self.token(&format!("xoxb-{team}-"), ALNUM, 24)
            }
            7 => self.token("sk_live_", ALNUM, 24),
            8 => self.token("AIza", URL, 35),
            9 => self.token("GOCSPX-", URL, 28),
            10 => self.token("npm_", ALNUM, 36),
            11 => self.token("pypi-AgEIcHlwaS5vcmc", URL, 120),
            12 => {
                let mut token = self.token("eyJhbGciOiJIUzI1NiJ9.eyJ", URL, 60);
                token.text += &format!(".{}", self.of(URL, 43));
                token
            }
            13 => self.key("RSA"),
            14 => self.key("OPENSSH"),
            15 => self.named("AccountKey=", BASE64, 86),
            16 => self.token("SK", HEX, 32),
            17 => {
                let id = self.of(URL, 22);
                self.token(&format!("SG.{id}."), URL, 43)
            }
            18 => self.token("hf_", ALNUM, 34),
            _ => self.token("dop_v1_", HEX, 64),
        }
    }
}

/// All of them; the same each time.
pub(crate) fn corpus() -> Vec<Secret> {
    let mut maker = Maker(Rng::new(6));
    (0..200).map(|at| maker.shape(at % 20)).collect()
}
