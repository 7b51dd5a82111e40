//! Holds the credentials of a bucket and keeps them fresh: one renewal at a time, however many wait
//! for it. Knows no place and no request.
//!
//! The place that answered first is asked again, and no other: a mount does not change its identity.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::file::Stamped;
use super::network::Door;
use super::place::{Look, Place};
use super::{CredentialError, CredentialSource, Credentials, search};
use crate::clock::Clock;

/// How long before their end credentials are renewed: as COS's tools do. Shorter lives are renewed in
/// the middle of what is left.
const AHEAD: Duration = Duration::from_secs(600);
/// Pause after a renewal that failed, or that the service's refusal made necessary.
const PAUSE: Duration = Duration::from_secs(10);
/// Pause after a renewal for a refusal that may have had another reason.
const PAUSE_IN_DOUBT: Duration = Duration::from_secs(300);
/// How often is looked whether a file has changed.
const WATCH: Duration = Duration::from_secs(1);

/// How sure it is that a refusal was about the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The service said so.
    Certain,
    /// It refused without saying why.
    Doubtful,
}

/// The credentials of one bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct CredentialCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Origin,
    clock: Arc<dyn Clock>,
    /// Held by whoever renews.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Origin {
    Anonymous,
    Fixed(Arc<Credentials>),
    Places(Vec<Place>),
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// The last renewal, if it failed.
    failed: Option<(Instant, CredentialError)>,
    /// What the log has been told of already.
    warned: Option<CredentialError>,
    /// When a refusal last made us renew.
    forced: Option<Instant>,
    /// When the file was last looked at.
    watched: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    credentials: Arc<Credentials>,
    place: Place,
    file: Option<Stamped>,
    renew_at: Option<SystemTime>,
}

/// What is in the cache, at one moment.
enum Glance {
    /// Nothing to do.
    Good(Arc<Credentials>),
    /// Still good, and to be renewed.
    Aging(Arc<Credentials>),
    /// Good, and time to look at their file.
    Unwatched(Arc<Credentials>, Stamped),
    /// None, and it is too early to try again.
    Failed(CredentialError),
    /// None.
    Missing,
}

impl CredentialCache {
    /// Looks for nothing yet.
    pub(crate) fn new(source: CredentialSource, clock: Arc<dyn Clock>) -> Self {
        match source {
            CredentialSource::Anonymous => Self::of(Origin::Anonymous, clock),
            CredentialSource::Fixed(fixed) => Self::of(Origin::Fixed(Arc::new(fixed)), clock),
            CredentialSource::Search(search) => {
                Self::of(Origin::Places(search.places(&Door::default())), clock)
            }
        }
    }

    /// Of these places.
    #[cfg(test)]
    pub(super) fn of_places(places: Vec<Place>, clock: Arc<dyn Clock>) -> Self {
        Self::of(Origin::Places(places), clock)
    }

    fn of(origin: Origin, clock: Arc<dyn Clock>) -> Self {
        let (turn, state) = (tokio::sync::Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { origin, clock, turn, state }))
    }

    /// The credentials to sign with now; `None` for anonymous requests. Waits for them when there are
    /// none that are still good.
    ///
    /// # Errors
    /// There are none, or those that there were have ended and could not be renewed.
    pub(crate) async fn current(&self) -> Result<Option<Arc<Credentials>>, CredentialError> {
        let inner = &*self.0;
        let places = match &inner.origin {
            Origin::Anonymous => return Ok(None),
            Origin::Fixed(credentials) => return Ok(Some(Arc::clone(credentials))),
            Origin::Places(places) => places,
        };
        match inner.glance() {
            Glance::Good(credentials) => Ok(Some(credentials)),
            Glance::Aging(credentials) => {
                // One request waits for the renewal, the others go on with what they have.
                if let Ok(_turn) = inner.turn.try_lock()
                    && matches!(inner.glance(), Glance::Aging(_))
                {
                    inner.renew(places).await;
                }
                Ok(Some(inner.held().unwrap_or(credentials)))
            }
            Glance::Unwatched(credentials, file) => {
                if let Ok(_turn) = inner.turn.try_lock() {
                    inner.watch(places, file).await;
                }
                Ok(Some(inner.held().unwrap_or(credentials)))
            }
            Glance::Failed(error) => Err(error),
            Glance::Missing => {
                let _turn = inner.turn.lock().await;
                if matches!(inner.glance(), Glance::Missing) {
                    inner.renew(places).await;
                }
                match inner.glance() {
                    Glance::Good(found) | Glance::Aging(found) | Glance::Unwatched(found, _) => {
                        Ok(Some(found))
                    }
                    Glance::Failed(error) => Err(error),
                    // They ended in this very moment.
                    Glance::Missing => {
                        Err(CredentialError::unavailable("the credentials", "they have ended"))
                    }
                }
            }
        }
    }

    /// Asks again where the credentials came from, at once and however short ago that was done. Those that are
    /// held stay in use where it fails; either is said in the log. Safe to repeat.
    pub(crate) async fn reload(&self) {
        let inner = &*self.0;
        let Origin::Places(places) = &inner.origin else { return };
        let _turn = inner.turn.lock().await;
        let before = inner.held();
        inner.state.lock().warned = None;
        inner.renew(places).await;
        let state = inner.state.lock();
        match (&state.failed, &state.held, before) {
            (Some((_, error)), None, _) => tracing::error!(%error, "there are no credentials"),
            (None, Some(held), Some(before)) if held.credentials.same_keys(&before) => {
                tracing::info!(place = held.place.name(), "the credentials are what they were");
            }
            // Told by whoever has kept or refused them.
            _ => {}
        }
    }

    /// Tells that the service refused a request that was signed with `used`. Whether there are other
    /// credentials now, with which it is worth another attempt.
    ///
    /// However many tell it at the same time of the same credentials, they are renewed once.
    pub(crate) async fn rejected(&self, used: &Credentials, rejection: Rejection) -> bool {
        let inner = &*self.0;
        let Origin::Places(places) = &inner.origin else { return false };
        let _turn = inner.turn.lock().await;
        let pause = match rejection {
            Rejection::Certain => PAUSE,
            Rejection::Doubtful => PAUSE_IN_DOUBT,
        };
        let (too_soon, file) = {
            let mut state = inner.state.lock();
            let file = match &state.held {
                Some(held) if held.credentials.same_keys(used) => held.file.clone(),
                Some(_) => return true,
                None => return false,
            };
            let too_soon = state.forced.is_some_and(|at| at.elapsed() < pause);
            if !too_soon {
                state.forced = Some(Instant::now());
            }
            (too_soon, file)
        };
        match (too_soon, file) {
            (false, _) => inner.renew(places).await,
            // Nobody is bothered by a look at a file.
            (true, Some(file)) => inner.watch(places, file).await,
            (true, None) => {}
        }
        inner.held().is_some_and(|held| !held.same_keys(used))
    }
}

impl Inner {
    /// What is held, ended or not.
    fn held(&self) -> Option<Arc<Credentials>> {
        self.state.lock().held.as_ref().map(|held| Arc::clone(&held.credentials))
    }

    fn glance(&self) -> Glance {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let failed = state.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE);
        let Some(held) = state.held.as_ref().filter(|held| !held.credentials.has_ended(now)) else {
            return failed.map_or(Glance::Missing, |(_, error)| Glance::Failed(error.clone()));
        };
        let credentials = Arc::clone(&held.credentials);
        if failed.is_some() {
            return Glance::Good(credentials);
        }
        if held.renew_at.is_some_and(|at| at <= now) {
            return Glance::Aging(credentials);
        }
        let due = state.watched.is_none_or(|at| at.elapsed() >= WATCH);
        match held.file.clone().filter(|_| due) {
            Some(file) => {
                state.watched = Some(Instant::now());
                Glance::Unwatched(credentials, file)
            }
            None => Glance::Good(credentials),
        }
    }

    /// Renews if the file has changed. Only by whoever has the turn.
    async fn watch(&self, places: &[Place], file: Stamped) {
        let changed = tokio::task::spawn_blocking(move || file.has_changed()).await;
        if changed.unwrap_or(false) {
            self.renew(places).await;
        }
    }

    /// Asks again where the credentials came from, or everywhere if they came from nowhere yet. Only
    /// by whoever has the turn.
    async fn renew(&self, places: &[Place]) {
        let place = self.state.lock().held.as_ref().map(|held| held.place.clone());
        let found = match place {
            None => search::first(places).await,
            Some(place) => match place.look().await {
                Ok(Look::Nothing(_)) => {
                    let what = "there are no credentials any more";
                    Err(CredentialError::unavailable(place.name(), what))
                }
                Ok(look) => Ok((place, look)),
                Err(error) => Err(error),
            },
        };
        match found {
            Ok((place, Look::Found(credentials, file))) => self.keep(place, credentials, file),
            // The search finds or fails.
            Ok((_, Look::Nothing(_))) => {}
            Err(error) => self.fail(error),
        }
    }

    fn keep(&self, place: Place, credentials: Credentials, file: Option<Stamped>) {
        let now = self.clock.now();
        if credentials.has_ended(now) {
            let what = "the credentials that it gives have ended, by the clock of this machine";
            return self.fail(CredentialError::unavailable(place.name(), what));
        }
        let renew_at = credentials.expires.map(|end| {
            let left = end.duration_since(now).unwrap_or_default();
            // A service may give the same ones until shortly before their end.
            (end - AHEAD.min(left / 2)).max(now + PAUSE)
        });
        let mut state = self.state.lock();
        let is_new =
            state.held.as_ref().is_none_or(|held| !held.credentials.same_keys(&credentials));
        if is_new {
            tracing::info!(
                place = place.name(),
                expires_in_s = credentials
                    .expires
                    .map(|end| end.duration_since(now).unwrap_or_default().as_secs()),
                "credentials"
            );
        }
        state.held = Some(Held { credentials: Arc::new(credentials), place, file, renew_at });
        state.failed = None;
        state.warned = None;
        state.watched = Some(Instant::now());
    }

    fn fail(&self, error: CredentialError) {
        let mut state = self.state.lock();
        if state.held.is_some() && state.warned.as_ref() != Some(&error) {
            tracing::error!(%error, "credentials cannot be renewed; the old ones stay in use");
            state.warned = Some(error.clone());
        }
        state.failed = Some((Instant::now(), error));
    }
}

impl Credentials {
    fn has_ended(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
