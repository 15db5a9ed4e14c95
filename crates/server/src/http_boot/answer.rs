//! From a request to the octets that answer it, and what is told of it.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use journal::{Protocol, Role, Step};

use super::connection::is_copied;
use super::ledger::Sending;
use super::request::BadRequest;
use super::response::{self, Body, Response};
use super::shared::Served;
use super::shelf::{Held, Kept};
use super::worker::Desk;
use super::{Generated, Method, Request, page};
use crate::files::FileError;

/// What goes out: octets, and part of a file behind them.
pub(super) struct Answer {
    pub octets: Vec<u8>,
    /// Of these the head; the rest is body.
    pub head_octets: usize,
    pub body: Option<(Arc<Kept>, Range<u64>)>,
    /// To be reported once it is taken.
    pub sending: Option<Sending>,
    /// To be reported now.
    pub told: Option<Step>,
}

/// Answers what is no request.
pub(super) fn refusal(bad: BadRequest, desk: &mut Desk) -> Answer {
    Answer::of(Response::text(bad.status(), &bad.to_string()), true, false, desk)
}

pub(super) fn answer(served: &Served, request: &Request, keep_alive: bool, desk: &mut Desk) -> Answer {
    let with_body = request.method != Method::Head;
    if let Some(generated) = served.service.dynamic.respond(request) {
        return made(generated, with_body, keep_alive, desk);
    }
    if !matches!(request.method, Method::Get | Method::Head) {
        let refused = Response::text(405, "only GET and HEAD are answered here").with("Allow", "GET, HEAD".into());
        return Answer::of(refused, true, keep_alive, desk);
    }
    match served.find(request) {
        Ok(kept) => Answer::file(kept, request, keep_alive, desk),
        Err(error) => no_file(served, request, error, keep_alive, desk),
    }
}

fn made(generated: Generated, with_body: bool, keep_alive: bool, desk: &mut Desk) -> Answer {
    let role = generated.role.filter(|_| generated.status == 200);
    let (file, octets) = (generated.name.clone(), generated.body.len() as u64);
    let answer = Answer::of(Response::generated(generated), with_body, keep_alive, desk);
    match role {
        Some(role) => answer.of_file(file, role, octets, false, with_body, desk),
        None => answer,
    }
}

/// A page in place of a file, where a folder is published; else why there is none.
fn no_file(served: &Served, request: &Request, error: FileError, keep_alive: bool, desk: &mut Desk) -> Answer {
    let with_body = request.method != Method::Head;
    if matches!(error, FileError::NotFound { .. } | FileError::NotAFile { .. })
        && let Ok(listing) = served.service.files.list(&request.path)
    {
        return Answer::of(Response::page(page::render(&listing, request.local)), with_body, keep_alive, desk);
    }
    let response = match &error {
        FileError::NotFound { .. } | FileError::NotAFile { .. } | FileError::BadName { .. } => {
            let status = if matches!(error, FileError::BadName { .. }) { 400 } else { 404 };
            Response::text(status, &error.to_string())
        }
        // These name paths and permissions of the host: for its owner's journal, not for every client.
        FileError::LeadsOutside { asked, .. } => {
            Response::text(403, &format!("{asked} leads out of what is published; the server's journal says where"))
        }
        FileError::NotReadable { .. } | FileError::Withheld { .. } | FileError::Broken { .. } => {
            let status = if matches!(error, FileError::Broken { .. }) { 500 } else { 403 };
            Response::text(status, "this file is published but cannot be read; the server's journal says why")
        }
    };
    let file = request.path.trim_start_matches('/').to_owned();
    let told = Step::FileNotFound { protocol: Protocol::Http, file, because: error.to_string() };
    Answer { told: Some(told), ..Answer::of(response, with_body, keep_alive, desk) }
}

impl Answer {
    fn of(response: Response, with_body: bool, keep_alive: bool, desk: &mut Desk) -> Answer {
        let mut octets = desk.take_buffer();
        response.head(keep_alive, &desk.date, &mut octets);
        let head_octets = octets.len();
        if let (Body::Octets(body), true) = (&response.body, with_body) {
            octets.extend_from_slice(body);
        }
        Answer { octets, head_octets, body: None, sending: None, told: None }
    }

    fn file(kept: Arc<Kept>, request: &Request, keep_alive: bool, desk: &mut Desk) -> Answer {
        let with_body = request.method != Method::Head;
        let mut octets = desk.take_buffer();
        let (status, part) = if is_plain(request) {
            response::plain_head(&desk.date, &kept.fields, keep_alive, &mut octets);
            (200, 0..kept.size)
        } else {
            let response = Response::file(request, &kept.name, kept.size, &kept.validators, Timestamp::now());
            let Body::Part(part) = response.body.clone() else {
                desk.give_back(octets);
                return Answer::of(response, with_body, keep_alive, desk);
            };
            response.head(keep_alive, &desk.date, &mut octets);
            (response.status, part)
        };
        let (head_octets, body_octets) = (octets.len(), part.end - part.start);
        let mut body = None;
        match &kept.held {
            _ if !with_body => {}
            Held::Octets(content) if is_copied(body_octets as usize) => {
                octets.extend_from_slice(content.get(part.start as usize..part.end as usize).unwrap_or_default());
            }
            _ => body = Some((kept.clone(), part)),
        }
        let answer = Answer { octets, head_octets, body, sending: None, told: None };
        answer.of_file(kept.name.clone(), kept.role, body_octets, status == 206, with_body, desk)
    }

    /// Notes what to report once this answer is taken. For a HEAD that is at once: the client learns the size.
    fn of_file(self, file: String, role: Role, octets: u64, partial: bool, with_body: bool, desk: &Desk) -> Answer {
        if !with_body {
            return Answer { told: Some(Step::SizeProbe { protocol: Protocol::Http, file, octets }), ..self };
        }
        Answer { sending: Some(Sending { file, role, octets, partial, since: desk.now }), ..self }
    }
}

impl Served {
    fn find(&self, request: &Request) -> Result<Arc<Kept>, FileError> {
        if let Some(kept) = self.shelf.find(&request.path) {
            return Ok(kept);
        }
        let found = (self.service.open)(*request.client.ip(), &request.path)?;
        Ok(self.shelf.take(&request.path, found, &self.service.files))
    }
}

/// Asks for the file as it is, with no ifs.
fn is_plain(request: &Request) -> bool {
    let matters = |name: &str| {
        name.eq_ignore_ascii_case("Range") || name.get(..3).is_some_and(|if_| if_.eq_ignore_ascii_case("If-"))
    };
    !request.fields.iter().any(|(name, _)| matters(name))
}
