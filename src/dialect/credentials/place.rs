//! A place where credentials may be, as the search sees it. Knows no particular place.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::file::Stamped;
use super::{CredentialError, Credentials};

/// What was found at a place.
#[derive(Debug)]
pub(super) enum Look {
    /// Credentials, and the file they were read from.
    Found(Credentials, Option<Stamped>),
    /// Nothing, perhaps for a reason that the user should know.
    Nothing(Option<String>),
}

impl Look {
    /// Credentials that are in no file.
    pub(super) fn found(credentials: Credentials) -> Self {
        Self::Found(credentials, None)
    }

    /// Nothing, as is usual.
    pub(super) fn nothing() -> Self {
        Self::Nothing(None)
    }

    /// Nothing for a reason.
    pub(super) fn nothing_because(reason: impl Into<String>) -> Self {
        Self::Nothing(Some(reason.into()))
    }
}

/// A place on this machine. Looking there may block for as long as reading a small file does.
pub(super) trait Local: Send + Sync + Debug {
    /// In the user's words, for the list of what was tried.
    fn name(&self) -> String;
    /// What is there now. An error means that something is there and cannot be used.
    fn look(&self) -> Result<Look, CredentialError>;
}

/// A place that is asked over the network.
#[async_trait]
pub(super) trait Remote: Send + Sync + Debug {
    /// As for [`Local`].
    fn name(&self) -> String;
    /// Whether it is asked without anybody having wished for it, so that its silence is no error.
    fn is_optional(&self) -> bool;
    /// What it answers now. An error means that it was meant to answer and did not.
    async fn ask(&self) -> Result<Look, CredentialError>;
}

/// Any place. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Local(Arc<dyn Local>),
    Remote(Arc<dyn Remote>),
}

impl Place {
    pub(super) fn local(place: impl Local + 'static) -> Self {
        Self::Local(Arc::new(place))
    }

    pub(super) fn remote(place: impl Remote + 'static) -> Self {
        Self::Remote(Arc::new(place))
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Local(place) => place.name(),
            Self::Remote(place) => place.name(),
        }
    }

    /// See [`Remote::is_optional`].
    pub(super) fn is_optional(&self) -> bool {
        matches!(self, Self::Remote(place) if place.is_optional())
    }

    /// What is there now. Blocks no thread of the runtime.
    pub(super) async fn look(&self) -> Result<Look, CredentialError> {
        let look = match self {
            Self::Local(place) => {
                let (place, name) = (Arc::clone(place), self.name());
                let looked = tokio::task::spawn_blocking(move || place.look()).await;
                looked.unwrap_or_else(|_| {
                    Err(CredentialError::unavailable(name, "reading it was interrupted"))
                })
            }
            Self::Remote(place) => place.ask().await,
        }?;
        if let Look::Found(credentials, _) = &look {
            credentials.check().map_err(|what| CredentialError::bad(self.name(), what))?;
        }
        Ok(look)
    }
}
