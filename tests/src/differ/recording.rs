//! Steps, what was answered, and the file that holds both: protobuf messages, each with its length before it, in one
//! gzip stream.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use prost::Message;
use proto::etcdserverpb::ResponseHeader;

/// How a step is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// One request, one answer.
    Unary = 0,
    /// A streaming call with one request; its first answer counts.
    First = 1,
    /// A request on a watch stream that is answered by a control response: create, or cancel of a watcher that exists.
    /// Without a request, the control response is only waited for.
    WatchAnswered = 2,
    /// A request on a watch stream that is not answered.
    WatchUnanswered = 3,
    /// Everything a watch stream has to say up to the revision of the step.
    WatchDrain = 4,
    /// The end of a watch stream by its client.
    WatchClose = 5,
    /// The unary request again and again until its answer says that the lease is gone.
    UntilLeaseGone = 6,
}

/// One request. It is kept as bytes, so that what no encoder would write can be sent, too.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Step {
    #[prost(enumeration = "Kind", tag = "1")]
    pub kind: i32,
    /// `/package.Service/Method`.
    #[prost(string, tag = "2")]
    pub path: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub body: Bytes,
    /// Whose token goes with the request: that of the last Authenticate answered for this name.
    #[prost(string, tag = "4")]
    pub user: String,
    /// Which watch stream.
    #[prost(uint32, tag = "5")]
    pub stream: u32,
    /// Of a drain.
    #[prost(int64, tag = "6")]
    pub revision: i64,
}

/// What came back: a status and every response message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Outcome {
    /// gRPC's number; 0 is ok.
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub text: String,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub responses: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Exchange {
    #[prost(message, required, tag = "1")]
    pub step: Step,
    #[prost(message, required, tag = "2")]
    pub outcome: Outcome,
}

/// The one field that all responses have.
#[derive(Clone, PartialEq, prost::Message)]
struct Headed {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
}

impl Outcome {
    /// The newest in its headers; 0 without one.
    pub fn revision(&self) -> i64 {
        let mut newest = 0;
        for response in &self.responses {
            // That of the health service has something else there.
            let header = Headed::decode(response.clone()).unwrap_or_default().header.unwrap_or_default();
            newest = newest.max(header.revision);
        }
        newest
    }
}

pub fn save(path: &Path, exchanges: &[Exchange]) -> Result<()> {
    let mut file = GzEncoder::new(File::create(path)?, Compression::best());
    for exchange in exchanges {
        file.write_all(&exchange.encode_length_delimited_to_vec())?;
    }
    file.finish()?;
    Ok(())
}

pub fn load(path: &Path) -> Result<Vec<Exchange>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    let mut rest = Bytes::from(bytes);
    let mut exchanges = Vec::new();
    while !rest.is_empty() {
        exchanges.push(Exchange::decode_length_delimited(&mut rest)?);
    }
    Ok(exchanges)
}
