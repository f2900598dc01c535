//! The side of the recorder: answers a few clients, each on a thread of its own, and
//! never makes the recording wait.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::wire::{GREETING, Request, put_found, put_page, receive_request, send_answer};
use super::{DIR, SOCKET, address};
use crate::db::{DbError, Engine, Pages, View};
use crate::store::Store;

/// Clients at a time; more are turned away.
const MAX_CLIENTS: usize = 8;
/// How long a client may take to say what it began to, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket in a state directory, and who is connected to it.
pub struct Server {
    listener: UnixListener,
    dir: File,
    path: PathBuf,
    stopped: AtomicBool,
    clients: Mutex<Vec<(u64, UnixStream)>>,
    numbers: AtomicU64,
}

impl Server {
    /// Makes the socket; one that a dead recorder left is replaced. Whoever calls this
    /// has the directory locked.
    ///
    /// # Errors
    /// A filesystem without sockets, or that cannot be written.
    pub fn bind(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(DIR);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !std::fs::symlink_metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        let _ = std::fs::remove_file(path.join(SOCKET));
        let dir = File::open(&path)?;
        let listener = UnixListener::bind(address(&dir))?;
        std::fs::set_permissions(path.join(SOCKET), Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            dir,
            path,
            stopped: AtomicBool::new(false),
            clients: Mutex::default(),
            numbers: AtomicU64::new(0),
        })
    }

    /// The directory that holds nothing but the socket.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.path
    }

    /// Answers until [`Server::stop`] is called from another thread. The threads of the
    /// clients inherit the priority of this one.
    pub fn serve(&self, store: &Store) {
        let Some(engine) = store.db.engine() else {
            return;
        };
        std::thread::scope(|threads| {
            while let Some(accepted) = self.accept() {
                let Ok(stream) = accepted else {
                    // Out of descriptors, most likely: not to be asked again at once.
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                };
                let Some(number) = self.admit(&stream) else {
                    continue;
                };
                let client = move || {
                    // Whatever ends the conversation, the client notices.
                    let _ = converse(stream, engine);
                    self.dismiss(number);
                };
                let thread = std::thread::Builder::new().name("live".into());
                if thread.spawn_scoped(threads, client).is_err() {
                    self.dismiss(number);
                }
            }
        });
    }

    fn accept(&self) -> Option<io::Result<UnixStream>> {
        let accepted = self.listener.accept();
        let goes_on = !self.stopped.load(Ordering::Acquire);
        goes_on.then(|| accepted.map(|(stream, _)| stream))
    }

    fn admit(&self, stream: &UnixStream) -> Option<u64> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS || self.stopped.load(Ordering::Acquire) {
            return None;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        clients.push((number, stream.try_clone().ok()?));
        Some(number)
    }

    fn dismiss(&self, number: u64) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|(other, _)| *other != number);
    }

    /// Ends [`Server::serve`] and all conversations.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, stream) in clients.iter() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        drop(clients);
        // What the thread waits on ends for it. Elsewhere than on Linux a client wakes it, which
        // needs the socket's name: whoever removes the state directory takes that away.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        let _ = UnixStream::connect(address(&self.dir));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path.join(SOCKET));
        let _ = std::fs::remove_dir(&self.path);
    }
}

fn converse(mut stream: UnixStream, engine: &Engine) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = [0; GREETING.len()];
    stream.read_exact(&mut greeting)?;
    stream.write_all(&GREETING)?;
    if greeting != GREETING {
        return Ok(());
    }
    let mut view = engine.view();
    loop {
        let mut first = [0];
        // Between two requests there is no hurry.
        stream.set_read_timeout(None)?;
        stream.read_exact(&mut first)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = receive_request(&mut stream, first[0])?;
        let Ok(request) = Request::decode(&request) else {
            return send_answer(&mut stream, Err("a request that makes no sense".into()));
        };
        let answer = match request {
            Request::Renew => {
                view = engine.view();
                Ok(Vec::new())
            }
            request => answer(&view, request).map_err(|error| error.to_string()),
        };
        send_answer(&mut stream, answer)?;
    }
}

fn answer(view: &View<'_>, request: Request) -> Result<Vec<u8>, DbError> {
    Ok(match request {
        Request::Get(space, key) => put_found(view.get(space, &key)?.as_ref()),
        Request::Contains(space, key) => vec![u8::from(view.contains(space, &key)?)],
        Request::Page(space, bounds, end, most) => {
            if bounds.is_empty() {
                return Ok(put_page(&crate::db::Page::default()));
            }
            put_page(&view.page(space, bounds, end, most)?)
        }
        Request::Renew => Vec::new(),
    })
}
