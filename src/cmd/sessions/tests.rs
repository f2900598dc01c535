//! What the module around it promises, over a session whose every event is known.
#![allow(clippy::unwrap_used, reason = "tests")]
use serde_json::{Value, json};

use super::{object, reader, write_table};
use crate::testing::{Captured, bed};

#[test]
fn the_table_tells_sealed_from_unsealed() {
    let bed = bed();
    bed.record(false);
    let captured = Captured::default();
    let mut output = captured.output(false);
    write_table(&bed.store(), &mut output).unwrap();
    output.finish().unwrap();
    let expected = [
        "#  START (UTC)          LENGTH       EXIT      EVENTS  GAPS  BACKEND  COMMAND",
        "1  1970-01-01 00:00:01  00m:20.000s  1         9       1     notify   make te st\\n",
        "2  1970-01-01 00:00:01  00m:08.000s  unsealed  9       1     notify   make te st\\n",
    ];
    assert_eq!(captured.lines(), expected);
}

#[test]
fn the_object_has_what_a_script_asks_for() {
    let bed = bed();
    let store = bed.store();
    let session = store.sessions().unwrap().remove(0);
    let object = Value::from(object(&reader(&store, &session).unwrap()));
    for (field, expected) in [
        ("session", json!(1)),
        ("start", json!("1970-01-01T00:00:01.000000002Z")),
        ("duration_ns", json!(20_000_000_000_u64)),
        ("command", json!(["make", "te st\n"])),
        ("exit", json!(1)),
        ("backend", json!("notify")),
        ("events", json!(9)),
        ("gaps", json!(1)),
        ("sealed", json!(true)),
        ("roots", json!(["/w"])),
    ] {
        assert_eq!(object.get(field), Some(&expected), "{field}");
    }
}
