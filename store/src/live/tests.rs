//! What the module around it promises.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::ops::Bound;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use proptest::prelude::*;

use super::wire::Request;
use super::{Client, Server};
use crate::db::{Bounds, DbError, End, Pages, Space};
use crate::store::Store;

/// A store that is served while `look` looks at it.
fn served(look: impl FnOnce(&Store, &std::path::Path)) {
    let dir = tempfile::tempdir().unwrap();
    // Longer than the address of a socket can be.
    let state = dir.path().join("long".repeat(40));
    let store = Store::create(&state, "record").unwrap();
    let server = Server::bind(&state).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| server.serve(&store));
        look(&store, &state);
        server.stop();
    });
    drop(server);
    assert!(!state.join("live").exists());
}

fn put(store: &Store, number: u8) {
    let mut batch = store.db.batch();
    batch.put(Space::Blob, vec![number], vec![number; 10]);
    batch.commit().unwrap();
}

#[test]
fn a_client_sees_what_was_committed_when_its_view_was_taken() {
    served(|store, state| {
        (0..10).for_each(|number| put(store, number));
        let client = Client::connect(state).unwrap();
        let mode = state.join("live/socket").metadata().unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        // The answer to a first question tells that the view is taken.
        assert_eq!(client.get(Space::Blob, &[3]).unwrap().unwrap(), [3; 10]);
        put(store, 10);
        assert!(!client.contains(Space::Blob, &[10]).unwrap());
        client.renew().unwrap();
        assert!(client.contains(Space::Blob, &[10]).unwrap());
        let bounds = Bounds(Bound::Excluded(vec![2]), Bound::Unbounded);
        let page = client.page(Space::Blob, bounds, End::Back, 3).unwrap();
        let keys: Vec<u8> = page.records.iter().map(|(key, _)| key[0]).collect();
        assert_eq!(keys, [10, 9, 8]);
        assert!(page.rest.is_some());
    });
}

#[test]
fn a_client_that_talks_nonsense_is_let_go_and_others_are_served() {
    served(|store, state| {
        put(store, 1);
        let link = state.parent().unwrap().join("s");
        std::os::unix::fs::symlink(state.join("live"), &link).unwrap();
        let mut rude = UnixStream::connect(link.join("socket")).unwrap();
        rude.write_all(b"diffkeeper live 1\n").unwrap();
        rude.write_all(&[0xff; 64]).unwrap();
        let mut said = Vec::new();
        let _ = rude.read_to_end(&mut said);
        assert_eq!(said, b"diffkeeper live 1\n");
        let client = Client::connect(state).unwrap();
        assert!(client.contains(Space::Blob, &[1]).unwrap());
    });
}

#[test]
fn the_server_ends_although_its_directory_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), "record").unwrap();
    let server = std::sync::Arc::new(Server::bind(dir.path()).unwrap());
    let (ended, end) = std::sync::mpsc::channel();
    let serving = server.clone();
    std::thread::spawn(move || {
        serving.serve(&store);
        ended.send(()).unwrap();
    });
    std::fs::remove_dir_all(dir.path().join("live")).unwrap();
    server.stop();
    end.recv_timeout(std::time::Duration::from_secs(30))
        .unwrap();
}

#[test]
fn only_so_many_are_served_at_a_time() {
    served(|_, state| {
        let clients: Vec<Client> = (0..8).map(|_| Client::connect(state).unwrap()).collect();
        assert!(Client::connect(state).is_err());
        assert!(!clients[0].contains(Space::Blob, &[1]).unwrap());
    });
}

#[test]
fn a_client_notices_that_its_recorder_is_gone() {
    let mut client = None;
    served(|_, state| client = Some(Client::connect(state).unwrap()));
    let gone = client.unwrap().get(Space::Blob, &[1]);
    assert!(matches!(gone, Err(DbError::RecorderGone)));
}

proptest! {
    #[test]
    fn any_request_is_answered(bytes: Vec<u8>) {
        let _ = Request::decode(&bytes);
    }

    #[test]
    fn a_request_reads_back(key: Vec<u8>, other: Vec<u8>, most: usize) {
        let bounds = Bounds(Bound::Included(key.clone()), Bound::Excluded(other));
        for request in [
            Request::Get(Space::Name, key.clone()),
            Request::Page(Space::Blob, bounds, End::Back, most),
            Request::Renew,
        ] {
            prop_assert_eq!(Request::decode(&request.encode()).unwrap(), request);
        }
    }
}
