//! One HTTP request until it is answered or out of time: the transport over reqwest, bodies of known
//! length, and the only retry loop of the program. Knows no provider, no object and no signature;
//! what an answer means and whether it is worth another attempt is told by the caller.

mod body;
mod error;
mod retry;
mod transport;

pub use body::{ReadAt, RequestBody};
pub use error::{TransportError, TransportErrorKind};
pub use retry::{Exhausted, Patience, Verdict, persist, retry_after};
pub use transport::{Answer, Request, Transport};
