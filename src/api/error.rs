//! How a refusal travels: as itself, whether the server function or the way to it said no.

use crate::domain::{Problem, Refusal};
use server_fn::codec::JsonEncoding;
use server_fn::error::{FromServerFnError, ServerFnErrorErr};

/// What every server function answers when it does not do what it was asked.
pub type ApiError = Refusal;

impl FromServerFnError for Refusal {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        use ServerFnErrorErr as E;
        match error {
            // The calling side: no answer, or one that is not ours (a proxy's page, say).
            E::Request(detail) | E::Response(detail) => Self::new(Problem::Unreachable, detail),
            E::Deserialization(detail) => Self::new(Problem::Invalid, detail),
            E::Args(detail) | E::MissingArg(detail) => Self::new(Problem::Malformed, detail),
            E::UnsupportedRequestMethod(detail) => Self::new(Problem::MethodNotAllowed, detail),
            E::Registration(detail)
            | E::MiddlewareError(detail)
            | E::ServerError(detail)
            | E::Serialization(detail) => Self::new(Problem::Internal, detail),
        }
    }
}
