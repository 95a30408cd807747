//! What a log tells of writes: the lines in which the daemon says that it sends one.
//!
//! A line that is none of them, or cut off, is passed over: a log is what is left of it, and other things stand in it too.

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cli::output::Row;
use crate::domain::ids::Org;

/// A write that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentWrite {
    /// When, as the log says.
    #[serde(rename(deserialize = "timestamp"))]
    pub at: String,
    /// For which tenant.
    pub org: Org,
    /// The operator's number of the order.
    pub external_reference: String,
    /// The upstream's id of the request.
    pub reference_id: String,
    /// The operation's name, as in the ledger.
    pub operation: String,
    /// By which the upstream knows it.
    pub correlation_id: Uuid,
}

/// What the executor says right before it sends.
const MESSAGE: &str = "sending a write";

/// The writes that a log tells of, in its order.
pub fn writes_in(log: impl BufRead) -> io::Result<Vec<SentWrite>> {
    let mut writes = Vec::new();
    for line in log.split(b'\n') {
        let line = line?;
        // Whatever stands before it: some ways of printing a journal put the time and the unit there.
        let Some(begin) = line.iter().position(|&byte| byte == b'{') else {
            continue;
        };
        let Ok(said) = serde_json::from_slice::<serde_json::Value>(&line[begin..]) else {
            continue;
        };
        if said["message"] == MESSAGE
            && let Ok(write) = serde_json::from_value(said)
        {
            writes.push(write);
        }
    }
    Ok(writes)
}

impl Row for SentWrite {
    const COLUMNS: &'static [&'static str] = &["at", "org", "order", "request", "operation"];
    const FIRST: &'static [&'static str] = &["at", "org", "external_reference", "reference_id"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.at.clone(),
            self.org.to_string(),
            self.external_reference.clone(),
            self.reference_id.clone(),
            self.operation.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_of_writes_whatever_else_stands_in_it() {
        let write = r#"{"timestamp":"2026-01-15T12:00:00.000Z","level":"INFO","message":"sending a write","org":"yoigo","operation":"create_activation","reference_id":"R-1","external_reference":"ORD-1","correlation_id":"00000000-0000-0000-0000-000000000001"}"#;
        let other = write.replace("sending a write", "a write is settled");
        let log = format!(
            "started\n{write}\n{other}\nJan 15 12:00:00 host tesa-reconciler[1]: {write}\n{}\n",
            &write[..60]
        );
        let writes = writes_in(log.as_bytes()).unwrap();
        assert_eq!(writes.len(), 2);
        assert_eq!(writes[0], writes[1]);
        assert_eq!(writes[0].external_reference, "ORD-1");
        assert_eq!(writes[0].at, "2026-01-15T12:00:00.000Z");
        let bytes = [b"\xff\xfe{\n", write.as_bytes()].concat();
        assert_eq!(writes_in(&bytes[..]).unwrap().len(), 1);
    }
}
