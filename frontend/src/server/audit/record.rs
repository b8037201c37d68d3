//! The record of one request, filled in as the request passes through the chain.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::{
    Audit, Level, Stage,
    event::{Event, ResponseStatus, micro_time},
    policy::Recorded,
};
use crate::{
    access::authz::Attributes,
    request::{Request, User, status::ApiError},
};

/// Shared by the chain and the way back. Empty where the policy wants nothing of the request.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Option<Entry>>>);

struct Entry {
    audit: Arc<Audit>,
    recorded: Recorded,
    event: Event,
}

impl Entry {
    /// False: the event is lost, and must not be.
    fn emit(&mut self, stage: Stage) -> bool {
        if self.recorded.omit_stages.contains(&stage) {
            return true;
        }
        self.event.stage = stage.name();
        self.event.stage_timestamp = micro_time(self.audit.now());
        self.audit.write(&self.event)
    }
}

impl Record {
    /// Begins the record of a request whose user is known. A server that must record and cannot refuses the request.
    pub fn begin(&self, audit: &Arc<Audit>, asked: &Attributes, request: &Request) -> Result<(), ApiError> {
        let recorded = audit.recorded(asked);
        if recorded.level == Level::None {
            return Ok(());
        }
        let passed = jiff::SignedDuration::try_from(request.received_at.elapsed()).unwrap_or_default();
        let now = audit.now();
        let received_at = now.checked_sub(passed).unwrap_or(now);
        let event = Event::of_request(recorded.level.name(), asked, request, received_at);
        let mut entry = Entry { audit: Arc::clone(audit), recorded, event };
        let written = entry.emit(Stage::RequestReceived);
        *self.0.lock() = Some(entry);
        match written {
            true => Ok(()),
            false => {
                audit.rejected();
                Err(ApiError::internal("failed to store audit event"))
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.0.lock().as_mut() {
            change(entry);
        }
    }

    /// Which parts of the request are wanted.
    pub fn level(&self) -> Level {
        self.0.lock().as_ref().map_or(Level::None, |entry| entry.recorded.level)
    }

    pub fn acts_as(&self, user: &User) {
        self.change(|entry| entry.event.impersonated_user = Some(user.into()));
    }

    /// The first word on a key stays.
    pub fn annotate(&self, key: &str, value: impl Into<String>) {
        self.change(|entry| {
            entry.event.annotations.entry(key.to_owned()).or_insert_with(|| value.into());
        });
    }

    /// Documents in JSON; anything else is left out.
    pub fn request_object(&self, json: &[u8]) {
        self.change(|entry| entry.event.request_object = document(json, entry.recorded.omit_managed_fields));
    }

    pub fn response_object(&self, json: &[u8]) {
        self.change(|entry| entry.event.response_object = document(json, entry.recorded.omit_managed_fields));
    }

    pub fn failed(&self, error: &ApiError) {
        self.change(|entry| entry.event.response_status = Some(ResponseStatus::of_error(error)));
    }

    /// The answer begins.
    pub fn started(&self, code: u16) {
        self.change(|entry| {
            entry.event.response_status.get_or_insert_with(|| ResponseStatus::of_code(code));
            entry.emit(Stage::ResponseStarted);
        });
    }

    /// The answer is whole; the last event but for a panic's.
    pub fn completed(&self, code: u16) {
        self.change(|entry| {
            entry.event.response_status.get_or_insert_with(|| ResponseStatus::of_code(code));
            entry.emit(Stage::ResponseComplete);
        });
    }

    pub fn panicked(&self, cause: &str) {
        self.change(|entry| {
            let error = ApiError::internal(format!("APIServer panic'd: {cause}"));
            entry.event.response_status = Some(ResponseStatus::of_error(&error));
            entry.emit(Stage::Panic);
        });
    }
}

fn document(json: &[u8], without_managed_fields: bool) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(json).ok()?;
    if !without_managed_fields {
        // A line is a line.
        if !text.contains('\n') {
            return RawValue::from_string(text.to_owned()).ok();
        }
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        return serde_json::value::to_raw_value(&value).ok();
    }
    let mut value: serde_json::Value = serde_json::from_str(text).ok()?;
    remove_managed_fields(&mut value);
    for item in value.get_mut("items").and_then(serde_json::Value::as_array_mut).into_iter().flatten() {
        remove_managed_fields(item);
    }
    serde_json::value::to_raw_value(&value).ok()
}

fn remove_managed_fields(object: &mut serde_json::Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
        metadata.shift_remove("managedFields");
    }
}
