//! The processes of a session: each read once, those above it, and its name.

pub mod tally;
pub mod tree;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Display};
use std::rc::Rc;

use diffkeeper_store::model::{Process, ProcessId, escape};
use diffkeeper_store::{SessionReader, StoreError};

/// Processes held in memory at most.
const MAX_HELD: usize = 1 << 14;
/// Most processes above one another, a bound against loops.
const MAX_ABOVE: usize = 4096;

/// Looks processes up.
pub struct Processes<'r> {
    reader: &'r SessionReader<'r>,
    held: RefCell<HashMap<ProcessId, Option<Rc<Process>>>>,
}

impl<'r> Processes<'r> {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(reader: &'r SessionReader<'r>) -> Self {
        Self {
            reader,
            held: RefCell::default(),
        }
    }

    /// A process, if it is recorded.
    ///
    /// # Errors
    /// A damaged record.
    pub fn get(&self, id: ProcessId) -> Result<Option<Rc<Process>>, StoreError> {
        if let Some(known) = self.held.borrow().get(&id) {
            return Ok(known.clone());
        }
        let process = self.reader.process(id)?.map(Rc::new);
        let mut held = self.held.borrow_mut();
        if held.len() >= MAX_HELD {
            held.clear();
        }
        held.insert(id, process.clone());
        Ok(process)
    }

    /// The recorded processes above one, the nearest first, itself not included. A pid is
    /// used again, so the way up goes by identity.
    ///
    /// # Errors
    /// A damaged record.
    pub fn above(&self, process: &Process) -> Result<Vec<Rc<Process>>, StoreError> {
        let mut above = Vec::new();
        let mut next = process.parent;
        while let Some(id) = next.filter(|_| above.len() < MAX_ABOVE) {
            let Some(process) = self.get(id)? else {
                break;
            };
            next = process.parent;
            above.push(process);
        }
        Ok(above)
    }
}

/// `comm[pid]`, escaped.
pub fn name(process: &Process) -> impl Display {
    fmt::from_fn(|f| write!(f, "{}[{}]", escape(&process.comm), process.pid))
}

/// The program with its arguments, escaped; the path of the program where no arguments
/// are known.
#[must_use]
pub fn command_line(process: &Process) -> String {
    match process.argv.as_slice() {
        [] => escape(&process.exe).to_string(),
        argv => escape(&argv.join(&b' ')).to_string(),
    }
}
