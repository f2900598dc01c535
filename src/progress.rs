//! Progress of long work, on a terminal only.

use diffkeeper_store::Meter;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::Config;

/// A bar on stderr; it goes away with this value.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for work of yet unknown length.
    pub(crate) fn new(config: &Config, what: &'static str) -> Self {
        let target = if config.shows_progress() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Meter for Progress {
    fn expect(&self, steps: u64) {
        self.0.inc_length(steps);
    }

    fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }
}
