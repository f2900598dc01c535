//! Rest: what a recording that has nothing to do gives back. A burst of changes leaves its
//! contents in memory until more of them come, and holes in the heap where its work was done;
//! an agent that then waits for days would hold both.

use std::time::{Duration, Instant};

use diffkeeper_store::{SessionWriter, StoreError};

/// So long nothing must have happened.
const CALM: Duration = Duration::from_secs(1);

/// How far the recording has come to rest.
pub(crate) enum Rest {
    /// Something happened last at this time.
    Awake(Instant),
    /// Contents were handed to the threads of the store at this time, which write them out.
    Writing(Instant),
    Asleep,
}

impl Rest {
    pub(crate) fn new() -> Self {
        Self::Awake(Instant::now())
    }

    /// Something happened.
    pub(crate) fn disturb(&mut self) {
        *self = Self::new();
    }

    /// How long until the next turn; `None` if nothing is left to do.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.since()
            .map(|since| CALM.saturating_sub(since.elapsed()))
    }

    fn since(&self) -> Option<Instant> {
        match self {
            Self::Awake(since) | Self::Writing(since) => Some(*since),
            Self::Asleep => None,
        }
    }

    /// Takes the next step once it is time for it.
    pub(crate) fn turn(&mut self, writer: &mut SessionWriter<'_>) -> Result<(), StoreError> {
        if self.since().is_none_or(|since| since.elapsed() < CALM) {
            return Ok(());
        }
        *self = match self {
            Self::Awake(_) => {
                writer.rest()?;
                Self::Writing(Instant::now())
            }
            Self::Writing(_) if !writer.let_go()? => Self::Writing(Instant::now()),
            Self::Writing(_) | Self::Asleep => Self::Asleep,
        };
        if matches!(self, Self::Asleep) {
            trim();
        }
        Ok(())
    }
}

/// Gives free parts of the heap back to the system.
fn trim() {
    // SAFETY: the call takes no pointer, and an allocation is none of the parts that are free.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}
