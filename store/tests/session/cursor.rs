//! Cursors: every way of moving gives what a walk through the whole session gives.

use diffkeeper_store::model::{Event, FileId, Op, Seq, Timestamp};

use crate::contents::Noise;
use crate::{Bed, create, event, write};

const EVENTS: u64 = 5000;

/// Many blocks of events, and versions of two files among them.
fn recorded(bed: &Bed) {
    let mut noise = Noise(3);
    bed.record(|writer| {
        create(writer, 0, 2, "a");
        create(writer, 0, 3, "b");
        for turn in 1..EVENTS {
            // Several events share a time, and times have gaps.
            let time = turn / 3 * 7;
            match noise.next() % 40 {
                0 => drop(write(writer, time, 2, &noise.bytes(20))),
                1 => drop(write(writer, time, 3, &noise.bytes(20))),
                _ => drop(event(writer, time, 2, Op::Utimes, Vec::new())),
            }
        }
    });
}

#[test]
fn every_step_agrees_with_the_whole_session() {
    let bed = Bed::new();
    recorded(&bed);
    let store = bed.store();
    let session = store.session(None).unwrap();
    let events: Vec<Event> = session
        .events(Seq(1), Seq(u64::MAX))
        .map(Result::unwrap)
        .collect();
    let versions = |file| -> Vec<Seq> {
        let all = session.versions(FileId(file)).map(Result::unwrap);
        all.map(|(seq, _)| seq).collect()
    };
    let versions = [versions(2), versions(3)];
    let last = events.len() as u64;
    let mut cursor = session.cursor(Seq::BASELINE);
    let mut noise = Noise(4);
    for _ in 0..4000 {
        let from = cursor.seq();
        let file = (noise.next() % 2) as usize;
        match noise.next() % 5 {
            0 => {
                let by = (noise.next() % 3000) as i64 - 1500;
                let to = from.0.saturating_add_signed(by).min(last);
                assert_eq!(cursor.step(by), Seq(to));
            }
            1 => {
                let time = Timestamp(noise.next() % 14_000);
                let upto = events.partition_point(|event| event.time <= time);
                assert_eq!(cursor.seek_time(time).unwrap(), Seq(upto as u64));
            }
            2 => {
                let by = (noise.next() % 100) as i64 - 50;
                let time = Timestamp(cursor.time().unwrap().0.saturating_add_signed(by));
                let upto = events.partition_point(|event| event.time <= time);
                assert_eq!(cursor.step_time(by).unwrap(), Seq(upto as u64));
            }
            3 => {
                let next = versions[file].iter().find(|seq| **seq > from);
                let found = cursor.next_version(FileId(file as u64 + 2)).unwrap();
                assert_eq!(found, next.copied());
                assert_eq!(cursor.seq(), found.unwrap_or(from));
            }
            _ => {
                let before = versions[file].iter().rev().find(|seq| **seq < from);
                let found = cursor.previous_version(FileId(file as u64 + 2)).unwrap();
                assert_eq!(found, before.copied());
                assert_eq!(cursor.seq(), found.unwrap_or(from));
            }
        }
        let at = cursor.seq().0.checked_sub(1);
        let expected = at.map(|index| &events[index as usize]);
        assert_eq!(cursor.event().unwrap(), expected);
    }
}

#[test]
fn a_cursor_stops_at_both_ends() {
    let bed = Bed::new();
    recorded(&bed);
    let store = bed.store();
    let session = store.session(None).unwrap();
    let last = session.progress().last_seq;
    let mut cursor = session.cursor(Seq(u64::MAX));
    assert_eq!(cursor.seq(), last);
    assert_eq!(cursor.step(i64::MAX), last);
    assert_eq!(cursor.step(i64::MIN), Seq::BASELINE);
    assert_eq!(cursor.event().unwrap(), None);
    assert_eq!(cursor.time().unwrap(), Timestamp(0));
    assert_eq!(cursor.previous_version(FileId(2)).unwrap(), None);
    assert_eq!(cursor.next_version(FileId(99)).unwrap(), None);
    assert_eq!(cursor.seek(Seq(u64::MAX)), last);
    assert_eq!(cursor.next_version(FileId(2)).unwrap(), None);
}
