//! What users see while the service misbehaves: every layer is real, only the server breaks its word.

mod credentials;
mod damage;
mod http;
mod matrix;
