//! Keep: how much history stays while more of it is recorded. What goes first are earlier
//! sessions, the oldest first, then the beginning of the one that is being recorded; the state
//! that the rest starts with stays in any case.

use std::time::{Duration, Instant, SystemTime};

use diffkeeper_store::model::{Seq, Timestamp};
use diffkeeper_store::{SessionReader, Store, StoreError};

use crate::baseline::Progress;
use crate::recording::Recording;

/// How much history is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// What is younger than this.
    Time(Duration),
    /// So many events at least.
    Events(u64),
    /// As much as weighs so many bytes, see [`Store::weight`].
    Bytes(u64),
}

/// How often it is looked whether something has to go.
const TURN: Duration = Duration::from_secs(1);
/// Events that may be more before the oldest go: each time costs a look at all that stays.
const MORE: u64 = 4096;
/// See [`Keeper::slack`].
const SLACK: u64 = 16 << 20;

/// Keeps the history of a recording within its bounds.
pub(crate) struct Keeper {
    keep: Keep,
    next: Instant,
    /// When the beginning last went.
    cut: Instant,
    /// What the trace weighed when its space was last given back, bytes.
    reclaimed: u64,
    /// Bytes of what was removed that may wait for their space to be given back.
    slack: u64,
    /// What it weighed when nothing more could go, bytes.
    stuck: Option<u64>,
}

impl Keeper {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            next: Instant::now() + TURN,
            cut: Instant::now(),
            reclaimed: 0,
            slack: SLACK,
            stuck: None,
        }
    }

    /// The next turn is the last one, and comes at once.
    pub(crate) fn hurry(&mut self) {
        self.next = Instant::now();
        self.slack = 0;
    }

    /// Gives up what is too much, if it is time to look. Whether the limit cannot be held for
    /// the first time.
    pub(crate) fn turn(&mut self, recording: &mut Recording<'_>) -> Result<bool, StoreError> {
        if Instant::now() < self.next {
            return Ok(false);
        }
        let begun = Instant::now();
        let stuck = match self.keep {
            Keep::Time(age) => self.young(recording, age).map(|()| false),
            Keep::Events(events) => self.many(recording, events).map(|()| false),
            Keep::Bytes(most) => self.light(recording, most),
        };
        // Never more than a tenth of the time.
        self.next = Instant::now() + TURN.max(begun.elapsed() * 10);
        stuck
    }

    fn young(&mut self, recording: &mut Recording<'_>, age: Duration) -> Result<(), StoreError> {
        let store = recording.store;
        for earlier in earlier(recording)? {
            let reader = store.session(Some(earlier.id))?;
            if ended(&reader).is_some_and(|ended| ended > age) {
                store.remove_session(earlier.id)?;
            }
        }
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let Some(oldest) = recording.now().0.checked_sub(age) else {
            return Ok(());
        };
        let reader = store.session(Some(recording.writer.session()))?;
        let before = reader.seq_at(Timestamp(oldest))?;
        let old = before.0.saturating_sub(reader.start().0);
        if old >= MORE || (old > 0 && self.cut.elapsed().as_nanos() > u128::from(age / 8)) {
            recording.writer.give_up(before)?;
            self.cut = Instant::now();
        }
        self.reclaim(store)
    }

    fn many(&mut self, recording: &mut Recording<'_>, events: u64) -> Result<(), StoreError> {
        let progress = recording.writer.progress();
        let (last, mut total) = (progress.last_seq, progress.counts.total());
        let store = recording.store;
        for earlier in earlier(recording)?.into_iter().rev() {
            // From the newest: once there are enough, all that are older go.
            if total >= events {
                store.remove_session(earlier.id)?;
            } else {
                let reader = store.session(Some(earlier.id))?;
                total += reader.progress().counts.total();
            }
        }
        if recording.writer.progress().counts.total() >= events.saturating_add(MORE) {
            recording
                .writer
                .give_up(Seq(last.0.saturating_sub(events)))?;
        }
        self.reclaim(store)
    }

    fn light(&mut self, recording: &mut Recording<'_>, most: u64) -> Result<bool, StoreError> {
        let store = recording.store;
        let weight = store.weight()?;
        if weight
            <= self
                .stuck
                .map_or(most, |stuck| stuck.saturating_mul(2).max(most))
        {
            return Ok(false);
        }
        store.reclaim()?;
        // Somewhat less than the limit, or the next event would be too much again.
        while store.weight()? > most / 4 * 3 {
            if !drop_some(recording)? {
                let weight = store.weight()?;
                let first = self.stuck.is_none() && weight > most;
                self.stuck = (weight > most).then_some(weight);
                return Ok(first);
            }
            store.reclaim()?;
        }
        self.stuck = None;
        Ok(false)
    }

    /// Gives space back once there is much of it.
    fn reclaim(&mut self, store: &Store) -> Result<(), StoreError> {
        if store.weight()? > self.reclaimed.saturating_mul(2).saturating_add(self.slack) {
            store.reclaim()?;
            self.reclaimed = store.weight()?;
        }
        Ok(())
    }
}

/// Keeps the history within its bounds. That this fails is no reason to record no more.
pub(crate) fn bound(
    keeper: &mut Option<Keeper>,
    recording: &mut Recording<'_>,
    progress: &dyn Progress,
) {
    let Some(turning) = keeper else {
        return;
    };
    match turning.turn(recording) {
        Ok(false) => {}
        Ok(true) => progress.fault("the newest state alone takes more than the trace may weigh"),
        Err(error) => {
            progress.fault(&format!("no more history is given up: {error}"));
            *keeper = None;
        }
    }
}

/// Gives up the oldest session, or the older half of the only one. Whether there was anything.
fn drop_some(recording: &mut Recording<'_>) -> Result<bool, StoreError> {
    if let Some(oldest) = earlier(recording)?.first() {
        recording.store.remove_session(oldest.id)?;
        return Ok(true);
    }
    let progress = recording.writer.progress();
    let half = progress.counts.total().div_ceil(2);
    let before = Seq(progress.last_seq.0.saturating_sub(half));
    Ok(recording.writer.give_up(before)? > 0 || recording.writer.give_up(Seq(u64::MAX))? > 0)
}

/// The sessions before the one that is being recorded, oldest first.
fn earlier(recording: &Recording<'_>) -> Result<Vec<diffkeeper_store::model::Session>, StoreError> {
    let mut sessions = recording.store.sessions()?;
    sessions.retain(|session| session.id < recording.writer.session());
    Ok(sessions)
}

/// How long ago a session ended, by the wall clock.
fn ended(reader: &SessionReader<'_>) -> Option<Duration> {
    let start = reader.session().start_wall;
    let since_1970 = Duration::new(u64::try_from(start.sec).ok()?, start.nsec);
    let end = SystemTime::UNIX_EPOCH + since_1970 + Duration::from_nanos(reader.end().0);
    SystemTime::now().duration_since(end).ok()
}
