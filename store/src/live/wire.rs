//! What client and server say to each other: a greeting, then requests and answers, each
//! a length and so many bytes. Both sides check what they are told.

use std::io::{self, Read, Write};
use std::ops::Bound;

use crate::db::{Bounds, End, Page, Raw, Space};
use crate::encode::{Malformed, Put, Take};

/// Said first by both sides.
pub(super) const GREETING: [u8; 18] = *b"diffkeeper live 1\n";
/// Longest request, bytes: two keys and some numbers.
const MAX_REQUEST: u32 = 64 << 10;
/// Longest answer, bytes: a page is short, but one record may be long.
const MAX_ANSWER: u32 = 80 << 20;

const BAD: Malformed = Malformed("message");

/// What a client asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Get(Space, Vec<u8>),
    Contains(Space, Vec<u8>),
    Page(Space, Bounds, End, usize),
    /// Take a new view.
    Renew,
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Get(space, key) => {
                out.extend([0, *space as u8]);
                out.bytes(key);
            }
            Self::Contains(space, key) => {
                out.extend([1, *space as u8]);
                out.bytes(key);
            }
            Self::Page(space, bounds, end, most) => {
                out.extend([2, *space as u8, u8::from(*end == End::Back)]);
                out.var(*most as u64);
                put_bound(&mut out, &bounds.0);
                put_bound(&mut out, &bounds.1);
            }
            Self::Renew => out.push(3),
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::new(bytes, "message");
        let request = match take.u8()? {
            0 => Self::Get(take.tagged(Space::from_tag)?, take.vec()?),
            1 => Self::Contains(take.tagged(Space::from_tag)?, take.vec()?),
            2 => {
                let space = take.tagged(Space::from_tag)?;
                let end = if take.u8()? == 0 {
                    End::Front
                } else {
                    End::Back
                };
                let most = usize::try_from(take.var()?).unwrap_or(usize::MAX);
                let bounds = Bounds(take_bound(&mut take)?, take_bound(&mut take)?);
                Self::Page(space, bounds, end, most)
            }
            3 => Self::Renew,
            _ => return Err(BAD),
        };
        take.end()?;
        Ok(request)
    }
}

fn put_bound(out: &mut Vec<u8>, bound: &Bound<Vec<u8>>) {
    match bound {
        Bound::Unbounded => out.push(0),
        Bound::Included(key) => {
            out.push(1);
            out.bytes(key);
        }
        Bound::Excluded(key) => {
            out.push(2);
            out.bytes(key);
        }
    }
}

fn take_bound(take: &mut Take<'_>) -> Result<Bound<Vec<u8>>, Malformed> {
    match take.u8()? {
        0 => Ok(Bound::Unbounded),
        1 => Ok(Bound::Included(take.vec()?)),
        2 => Ok(Bound::Excluded(take.vec()?)),
        _ => Err(BAD),
    }
}

/// What a server answers; a failure is told in words.
pub(super) fn put_found(raw: Option<&Raw>) -> Vec<u8> {
    let mut out = vec![u8::from(raw.is_some())];
    out.extend(raw.into_iter().flat_map(|raw| raw.iter()));
    out
}

pub(super) fn take_found(answer: &[u8]) -> Result<Option<Raw>, Malformed> {
    match answer.split_first() {
        Some((0, [])) => Ok(None),
        Some((1, raw)) => Ok(Some(Raw::from(raw))),
        _ => Err(BAD),
    }
}

pub(super) fn put_page(page: &Page) -> Vec<u8> {
    let mut out = vec![u8::from(page.rest.is_some())];
    for (key, raw) in &page.records {
        out.bytes(key);
        out.bytes(raw);
    }
    out
}

pub(super) fn take_page(answer: &[u8], bounds: Bounds, end: End) -> Result<Page, Malformed> {
    let mut take = Take::new(answer, "message");
    let more = take.u8()? != 0;
    let mut page = Page::default();
    while !take.is_empty() {
        let key = take.vec()?;
        let len = usize::try_from(take.var()?).map_err(|_| BAD)?;
        page.records.push_back((key, Raw::from(take.raw(len)?)));
    }
    page.rest = match page.records.back() {
        Some((last, _)) if more => Some(bounds.behind(last.clone(), end)),
        _ => None,
    };
    Ok(page)
}

/// Sends a message.
fn send(out: &mut impl Write, status: Option<u8>, bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len() + usize::from(status.is_some()));
    let len = len.map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut message = len.to_be_bytes().to_vec();
    message.extend(status);
    message.extend(bytes);
    out.write_all(&message)
}

fn receive(from: &mut impl Read, first: u8, most: u32) -> io::Result<Vec<u8>> {
    let mut rest = [0; 3];
    from.read_exact(&mut rest)?;
    let [b, c, d] = rest;
    let len = u32::from_be_bytes([first, b, c, d]);
    if len > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    from.take(u64::from(len)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == u64::from(len) {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

pub(super) fn send_request(out: &mut impl Write, request: &Request) -> io::Result<()> {
    send(out, None, &request.encode())
}

/// Reads a request of which the first byte is here already.
pub(super) fn receive_request(from: &mut impl Read, first: u8) -> io::Result<Vec<u8>> {
    receive(from, first, MAX_REQUEST)
}

pub(super) fn send_answer(out: &mut impl Write, answer: Result<Vec<u8>, String>) -> io::Result<()> {
    match answer {
        Ok(bytes) => send(out, Some(0), &bytes),
        Err(text) => send(out, Some(1), text.as_bytes()),
    }
}

/// The answer, or what went wrong at the other side, in its words.
pub(super) fn receive_answer(from: &mut impl Read) -> io::Result<Result<Vec<u8>, String>> {
    let mut first = [0];
    from.read_exact(&mut first)?;
    let mut answer = receive(from, first[0], MAX_ANSWER)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let rest = answer.split_off(1);
    Ok(match answer.first() {
        Some(0) => Ok(rest),
        _ => Err(String::from_utf8_lossy(&rest).into_owned()),
    })
}
