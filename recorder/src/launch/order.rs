//! The order of writes to two pipes: owns matching what lies in the pipes with the kernel's list
//! of finished writes.
//!
//! Each pipe holds one packet, so a write ends only when the one before it on that pipe has been
//! taken, and the list has at most one entry a pipe for which nothing has been taken. A write of
//! up to a page is taken when its entry comes. A longer one lies there a page at a time without an
//! entry, and has to be taken so that it can go on; as a full page without an entry can also be a
//! complete write whose entry is about to come, the stream is then `unsure`: one more entry than
//! there are packets may follow.
//!
//! Exact for writers of which one starts after the other has finished; for others there is no
//! order to get wrong. Whatever does not add up is counted.

use super::output::Stream;

/// What the order is taken from; a trait so that a test can play the kernel.
pub(super) trait Pipes {
    /// Bytes lying in the pipe.
    fn waiting(&self, stream: Stream) -> usize;
    /// Appends the writes finished since the last call, in order; `None`: some were lost.
    fn events(&self, into: &mut Vec<Option<Stream>>);
    /// Takes one packet and passes it on. False if there was none, though the pipe is open.
    fn take(&mut self, stream: Stream) -> bool;
}

/// What one round came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Something was there.
    Took,
    /// A packet lies there and its entry has not come: it is due any moment.
    Due,
    /// Nothing to do.
    Idle,
}

/// Takes packets in the order of their writes.
pub(super) struct Sequencer {
    /// Length from which a packet may be a part of a longer write.
    full: usize,
    unsure: [bool; 2],
    by_arrival: u64,
    events: Vec<Option<Stream>>,
}

const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

impl Sequencer {
    /// `full`: the size of a packet, in bytes.
    pub(super) fn new(full: usize) -> Self {
        Self {
            full,
            unsure: [false; 2],
            by_arrival: 0,
            events: Vec::new(),
        }
    }

    /// Packets whose place among those of the other stream is a guess.
    pub(super) fn by_arrival(&self) -> u64 {
        self.by_arrival
    }

    pub(super) fn round(&mut self, pipes: &mut impl Pipes) -> Round {
        // In this order: what lies there before the list is read, and is not on it, has not been
        // finished, so nothing that a sequential writer does can have come after it.
        let waiting = BOTH.map(|stream| pipes.waiting(stream));
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        pipes.events(&mut events);
        let followed = self.follow(&events, pipes);
        let any = !events.is_empty();
        self.events = events;
        if any {
            return followed;
        }
        let mut round = Round::Idle;
        for (stream, waiting) in BOTH.into_iter().zip(waiting) {
            if waiting >= self.full {
                self.unsure[stream.index()] = pipes.take(stream);
                round = Round::Took;
            } else if waiting > 0 && round == Round::Idle {
                round = Round::Due;
            }
        }
        round
    }

    /// Takes what lies there without waiting for its entry any longer: the write did not give one
    /// (vmsplice), or its writer was stopped in the middle.
    pub(super) fn give_up_waiting(&mut self, pipes: &mut impl Pipes) {
        for stream in BOTH {
            if pipes.waiting(stream) > 0 && pipes.take(stream) {
                self.unsure[stream.index()] = true;
                self.by_arrival += 1;
            }
        }
    }

    fn follow(&mut self, events: &[Option<Stream>], pipes: &mut impl Pipes) -> Round {
        for (at, event) in events.iter().enumerate() {
            match event {
                Some(stream) => self.place(*stream, events.get(at + 1..).unwrap_or(&[]), pipes),
                None => self.by_arrival += 1,
            }
        }
        Round::Took
    }

    /// Acts on the entry of a write to `stream`, before those in `rest`.
    fn place(&mut self, stream: Stream, rest: &[Option<Stream>], pipes: &mut impl Pipes) {
        // All entries of the other stream's earlier writes came before this one.
        self.unsure[stream.other().index()] = false;
        if !self.unsure[stream.index()] {
            // Nothing there: it was taken together with another one, as a writer that opened
            // /dev/stdout anew writes without packets.
            self.by_arrival += u64::from(!pipes.take(stream));
            return;
        }
        let between = rest.iter().position(|event| *event == Some(stream.other()));
        let again = between
            .and_then(|at| rest.get(at..))
            .is_some_and(|rest| rest.contains(&Some(stream)));
        if again || pipes.waiting(stream) == 0 {
            // What lies there has its own entry further on: this one is of what was taken.
            self.unsure[stream.index()] = false;
            return;
        }
        pipes.take(stream);
        if between.is_some() {
            self.unsure[stream.index()] = false;
            self.by_arrival += 1;
        }
    }
}
