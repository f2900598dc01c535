//! The side of the reader: a trace whose recorder answers for it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::wire::{GREETING, Request, receive_answer, send_request, take_found, take_page};
use super::{DIR, address};
use crate::db::{Bounds, DbError, End, Page, Pages, Raw, Space};

/// How long an answer may take: the recorder comes last on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a recorder.
pub(crate) struct Client {
    /// None once it has failed: what follows could not be told from what came before.
    stream: Mutex<Option<UnixStream>>,
}

impl Client {
    /// Connects to the recorder of a state directory.
    pub(crate) fn connect(state_dir: &Path) -> io::Result<Self> {
        let dir = File::open(state_dir.join(DIR))?;
        let mut stream = UnixStream::connect(address(&dir))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&GREETING)?;
        let mut greeting = [0; GREETING.len()];
        stream.read_exact(&mut greeting)?;
        if greeting != GREETING {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let stream = Mutex::new(Some(stream));
        Ok(Self { stream })
    }

    fn ask(&self, request: &Request) -> Result<Vec<u8>, DbError> {
        let mut held = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = held.as_mut().ok_or(DbError::RecorderGone)?;
        let answer = send_request(stream, request).and_then(|()| receive_answer(stream));
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(text)) => Err(DbError::Recorder(text)),
            Err(_) => {
                *held = None;
                Err(DbError::RecorderGone)
            }
        }
    }
}

fn strange(_: crate::encode::Malformed) -> DbError {
    DbError::Recorder("an answer that makes no sense".into())
}

impl Pages for Client {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Raw>, DbError> {
        let answer = self.ask(&Request::Get(space, key.to_vec()))?;
        take_found(&answer).map_err(strange)
    }

    fn contains(&self, space: Space, key: &[u8]) -> Result<bool, DbError> {
        let answer = self.ask(&Request::Contains(space, key.to_vec()))?;
        Ok(answer == [1])
    }

    fn page(&self, space: Space, bounds: Bounds, end: End, most: usize) -> Result<Page, DbError> {
        let answer = self.ask(&Request::Page(space, bounds.clone(), end, most))?;
        take_page(&answer, bounds, end).map_err(strange)
    }

    fn renew(&self) -> Result<(), DbError> {
        self.ask(&Request::Renew).map(drop)
    }

    fn is_live(&self) -> bool {
        true
    }
}
