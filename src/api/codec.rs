//! How the two routes that take a body take it.
//!
//! A server function would wrap its arguments in an object of its own, and parse before the function
//! sees anything. Here the body is the request itself ([`WholeBody`]), or the bytes as they came
//! ([`RawJson`]), because a signature is over bytes.

use super::{CreateDeploy, ReportStatus};
use bytes::Bytes;
use server_fn::{ContentType, Decodes, Encodes, Format, FormatType};
use std::convert::Infallible;

/// JSON: the body is the function's only argument.
#[derive(Debug, Clone, Copy)]
pub struct WholeBody;

/// JSON that the function parses itself, once it has checked the bytes.
#[derive(Debug, Clone, Copy)]
pub struct RawJson;

impl ContentType for WholeBody {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for WholeBody {
    const FORMAT_TYPE: Format = Format::Text;
}

impl Encodes<CreateDeploy> for WholeBody {
    type Error = serde_json::Error;

    fn encode(call: &CreateDeploy) -> Result<Bytes, Self::Error> {
        serde_json::to_vec(&call.request).map(Bytes::from)
    }
}

impl Decodes<CreateDeploy> for WholeBody {
    type Error = serde_json::Error;

    fn decode(body: Bytes) -> Result<CreateDeploy, Self::Error> {
        serde_json::from_slice(&body).map(|request| CreateDeploy { request })
    }
}

impl ContentType for RawJson {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for RawJson {
    const FORMAT_TYPE: Format = Format::Text;
}

impl Encodes<ReportStatus> for RawJson {
    type Error = Infallible;

    fn encode(call: &ReportStatus) -> Result<Bytes, Self::Error> {
        Ok(Bytes::from(call.body.clone()))
    }
}

impl Decodes<ReportStatus> for RawJson {
    type Error = Infallible;

    fn decode(body: Bytes) -> Result<ReportStatus, Self::Error> {
        Ok(ReportStatus { body: body.to_vec() })
    }
}
