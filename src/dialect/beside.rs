//! Copies beside an object that are about to take its name: keys that nobody else uses, and that do not
//! show in listings while they are there. A program that lists the directory meanwhile would else find a
//! file that is gone when it is opened.

use std::collections::HashSet;
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::dialect::attempt::hex;
use crate::store::{ErrorKind, Key, ListPage, Operation, StoreError, StoreResult};

/// How many random bytes tell the copies of one connection, and how many one of its copies.
const NONCE_BYTES: usize = 4;

/// The copies of one connection.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Chosen at the first copy.
    mark: OnceLock<String>,
    /// Copies that may have stayed behind: whoever looks for the bytes must find them.
    left: Mutex<HashSet<Key>>,
}

impl Beside {
    /// A key for a copy beside `key`: `KEY.partfs-NONCE`.
    ///
    /// # Errors
    /// `InvalidKey` when it would be too long for any service, or there is no randomness.
    pub(super) fn key(&self, key: &Key) -> StoreResult<Key> {
        let failed = |message: String| {
            StoreError::new(ErrorKind::InvalidKey, Operation::Copy, message).with_key(key.as_str())
        };
        let nonce = || {
            let mut nonce = [0; NONCE_BYTES];
            getrandom::fill(&mut nonce).map_err(|error| failed(error.to_string()))?;
            Ok(hex(&nonce))
        };
        let mark = match self.mark.get() {
            Some(mark) => mark,
            None => {
                let mark = nonce()?;
                self.mark.get_or_init(|| mark)
            }
        };
        Key::new(format!("{}.partfs-{mark}{}", key.as_str(), nonce()?))
            .map_err(|error| failed(error.to_string()))
    }

    /// A copy may have stayed behind: it is shown from now on.
    pub(super) fn show(&self, copy: &Key) {
        self.left.lock().insert(copy.clone());
    }

    /// A page of a listing without copies that are on their way.
    pub(super) fn hide(&self, mut page: ListPage) -> ListPage {
        page.objects.retain(|object| !self.is_on_its_way(&object.key));
        page
    }

    /// By its name, not by what is under way now: the listing may be older than the end of the copy.
    fn is_on_its_way(&self, key: &Key) -> bool {
        let Some(mark) = self.mark.get() else { return false };
        let nonce = key.as_str().rsplit_once(".partfs-").map(|(_, nonce)| nonce);
        nonce.is_some_and(|nonce| nonce.len() == 4 * NONCE_BYTES && nonce.starts_with(mark))
            && !self.left.lock().contains(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::store::{ETag, ListedObject};

    fn shown(beside: &Beside, keys: &[&Key]) -> Vec<Key> {
        let object = |key: &&Key| ListedObject {
            key: (*key).clone(),
            etag: ETag::new("e"),
            size: 1,
            last_modified: UNIX_EPOCH,
            storage_class: None,
        };
        let objects = keys.iter().map(object).collect();
        let page = beside.hide(ListPage { objects, ..ListPage::default() });
        page.objects.into_iter().map(|object| object.key).collect()
    }

    #[test]
    fn copies_on_their_way_are_not_listed() {
        let (ours, theirs) = (Beside::default(), Beside::default());
        let file = Key::new("d/f").unwrap();
        let copy = ours.key(&file).unwrap();
        assert_ne!(ours.key(&file).unwrap(), copy);
        let other = theirs.key(&file).unwrap();
        let longer = Key::new(format!("{}.txt", copy.as_str())).unwrap();
        assert_eq!(shown(&ours, &[&file, &copy, &other, &longer]), [file, other, longer]);
    }

    #[test]
    fn what_may_have_stayed_behind_is_listed() {
        let beside = Beside::default();
        let copy = beside.key(&Key::new("d/").unwrap()).unwrap();
        assert_eq!(shown(&beside, &[&copy]), []);
        beside.show(&copy);
        assert_eq!(shown(&beside, &[&copy]), [copy]);
    }
}
