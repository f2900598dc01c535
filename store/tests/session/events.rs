//! Events come back in order, by Seq and by time, forward and backward.

use diffkeeper_store::model::{OpKind, Seq, Timestamp};

use crate::{Bed, create, write};

#[test]
fn events_are_found_by_seq_and_by_time() {
    let bed = Bed::new();
    bed.record(|writer| {
        create(writer, 5, 2, "f");
        for i in 0..5000_u64 {
            write(writer, 10 + i / 3 * 10, 2, &i.to_le_bytes());
        }
    });
    let store = bed.store();
    let session = store.session(None).unwrap();
    let all: Vec<_> = session
        .events(Seq(0), Seq(u64::MAX))
        .map(Result::unwrap)
        .collect();
    assert_eq!(all.len(), 5001);
    assert_eq!(session.progress().counts.get(OpKind::Write), 5000);
    let mut backward: Vec<_> = session
        .events(Seq(0), Seq(u64::MAX))
        .rev()
        .map(Result::unwrap)
        .collect();
    backward.reverse();
    assert_eq!(all, backward);
    let mut both = session.events(Seq(1), Seq(3000));
    let (mut front, mut back) = (Vec::new(), Vec::new());
    while let Some(event) = both.next() {
        front.push(event.unwrap());
        back.extend(both.next_back().map(Result::unwrap));
    }
    front.extend(back.into_iter().rev());
    assert_eq!(front, all[..3000]);
    for time in [
        0, 4, 5, 9, 10, 11, 15, 20, 9999, 10_010, 16_670, 16_680, 99_999,
    ] {
        let expected = all
            .iter()
            .rfind(|event| event.time.0 <= time)
            .map_or(Seq(0), |event| event.seq);
        assert_eq!(
            session.seq_at(Timestamp(time)).unwrap(),
            expected,
            "at {time}"
        );
    }
    let density: u64 = session
        .density(0, Timestamp(0), Timestamp(u64::MAX / 2))
        .map(|bucket| bucket.unwrap().1.total())
        .sum();
    assert_eq!(density, 5001);
}

#[test]
fn sessions_accumulate() {
    let bed = Bed::new();
    for _ in 0..3 {
        bed.record(|writer| {
            create(writer, 0, 2, "f");
        });
    }
    let store = bed.store();
    let ids: Vec<_> = store
        .sessions()
        .unwrap()
        .iter()
        .map(|session| session.id.0)
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(store.session(None).unwrap().session().id.0, 3);
    let missing = store.session(Some(diffkeeper_store::model::SessionId(9)));
    assert!(missing.is_err());
}
