//! Which files that are being written rest on objects of other files: copies that the server makes when the
//! file is published. Whoever changes such an object here publishes those files first, because on a local
//! disk a copy keeps the bytes that were there when it was made.
//!
//! A file that lends does not borrow, and the other way round, so nobody waits in a circle.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::fs::inode::{Inode, InodeNo};
use crate::fs::inodes::Pin;
use crate::fs::ordered::{LEAF, Ordered};

/// All loans of a mount.
#[derive(Debug, Default)]
pub(super) struct Loans {
    table: Ordered<Table, LEAF>,
    /// How many there are, for who wants to know without a lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    loans: Vec<Loan>,
    next: u64,
}

#[derive(Debug)]
struct Loan {
    number: u64,
    /// Pinned, so that it has the same number when it is changed.
    lender: Pin,
    borrower: InodeNo,
    /// A file that nobody has open any more has nothing left to publish.
    inode: Weak<Inode>,
    /// The borrower's content rests on the object; before that its writer is being told.
    settled: bool,
}

/// While this lives, a writer is being told to rest on the lender's object. For who has the lender's turn.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    loans: &'a Loans,
    number: u64,
}

impl Loans {
    /// Whether there are none at all. Cheap.
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// A loan of the lender's object. `None` when the lender borrows or the borrower lends: these loans
    /// must end first.
    pub(super) fn begin(&self, lender: Pin, borrower: &Arc<Inode>) -> Option<Telling<'_>> {
        let mut ended = Vec::new();
        let number = {
            let mut table = self.table.lock();
            table.take(&mut ended, |loan| loan.inode.strong_count() == 0);
            let circle = table.loans.iter().any(|loan| {
                loan.borrower == lender.inode().ino || loan.lender.inode().ino == borrower.ino
            });
            self.count.store(table.loans.len() + usize::from(!circle), Ordering::Release);
            if circle {
                return None;
            }
            let number = table.next;
            table.next += 1;
            table.loans.push(Loan {
                number,
                lender,
                borrower: borrower.ino,
                inode: Arc::downgrade(borrower),
                settled: false,
            });
            number
        };
        Some(Telling { loans: self, number })
    }

    /// Whether others rest on the object of this inode.
    pub(super) fn lends(&self, ino: InodeNo) -> bool {
        !self.is_empty()
            && self.table.lock().loans.iter().any(|loan| loan.lender.inode().ino == ino)
    }

    /// Whether this inode rests on objects of others.
    pub(super) fn borrows(&self, ino: InodeNo) -> bool {
        !self.is_empty() && self.table.lock().loans.iter().any(|loan| loan.borrower == ino)
    }

    /// Who rests on the object of this inode, with the number of the loan; those that are being told do
    /// not count yet.
    pub(super) fn of_lender(&self, ino: InodeNo) -> Vec<(u64, Option<Arc<Inode>>)> {
        if self.is_empty() {
            return Vec::new();
        }
        let table = self.table.lock();
        let mine = table.loans.iter().filter(|loan| loan.settled && loan.lender.inode().ino == ino);
        mine.map(|loan| (loan.number, loan.inode.upgrade())).collect()
    }

    /// The loans of a borrower that end when it is published now.
    pub(super) fn of_borrower(&self, ino: InodeNo) -> Vec<u64> {
        if self.is_empty() {
            return Vec::new();
        }
        let table = self.table.lock();
        let mine = table.loans.iter().filter(|loan| loan.settled && loan.borrower == ino);
        mine.map(|loan| loan.number).collect()
    }

    /// These loans are over.
    pub(super) fn end(&self, numbers: &[u64]) {
        if numbers.is_empty() {
            return;
        }
        // Dropped behind the lock: a pin takes one of its own.
        let mut ended = Vec::new();
        let mut table = self.table.lock();
        table.take(&mut ended, |loan| numbers.contains(&loan.number));
        self.count.store(table.loans.len(), Ordering::Release);
        drop(table);
    }
}

impl Table {
    fn take(&mut self, into: &mut Vec<Loan>, over: impl Fn(&Loan) -> bool) {
        let (ended, kept) = self.loans.drain(..).partition(over);
        self.loans = kept;
        *into = ended;
    }
}

/// The writer has been told, or may have been.
impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let mut ended = Vec::new();
        let mut table = self.loans.table.lock();
        let told = table.loans.iter_mut().find(|loan| loan.number == self.number).map(|loan| {
            loan.settled = true;
            (loan.lender.inode().ino, loan.borrower)
        });
        // One loan between two files says it all: programs copy in pieces.
        table.take(&mut ended, |loan| {
            let pair = Some((loan.lender.inode().ino, loan.borrower));
            loan.settled && loan.number < self.number && pair == told
        });
        self.loans.count.store(table.loans.len(), Ordering::Release);
        drop(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::attr::{Attr, Kind};
    use crate::fs::inodes::Inodes;
    use crate::fs::name::Name;

    fn files() -> (Arc<Inodes>, [Arc<Inode>; 3]) {
        let attr = |kind| Attr::new(kind, 0o644, 0, 0, std::time::SystemTime::UNIX_EPOCH);
        let inodes = Inodes::new(attr(Kind::Directory));
        let file = |name: &str| {
            let name = Name::from_key_component(name).unwrap();
            inodes.obtain(InodeNo::ROOT, &name, Kind::File, true, || (attr(Kind::File), None))
        };
        let files = [file("a"), file("b"), file("c")];
        (inodes, files)
    }

    #[test]
    fn nobody_lends_and_borrows() {
        let (inodes, [a, b, c]) = files();
        let loans = Loans::default();
        let begin = |from: &Arc<Inode>, to| loans.begin(inodes.pin(from), to).is_some();
        assert!(begin(&a, &b));
        assert!(!begin(&b, &a) && !begin(&b, &c) && !begin(&c, &a));
        assert!(begin(&c, &b), "two lenders");
        assert!(loans.lends(a.ino) && loans.borrows(b.ino) && !loans.lends(b.ino));
        loans.end(&loans.of_borrower(b.ino));
        assert!(loans.is_empty() && begin(&b, &a));
        assert!(inodes.is_pinned(b.ino) && !inodes.is_pinned(c.ino));
    }

    #[test]
    fn many_pieces_are_one_loan_and_the_dead_owe_nothing() {
        let (inodes, [a, b, _]) = files();
        let loans = Loans::default();
        for _ in 0..3 {
            drop(loans.begin(inodes.pin(&a), &b));
        }
        assert_eq!(loans.of_lender(a.ino).len(), 1);
        let telling = loans.begin(inodes.pin(&a), &b);
        let numbers = loans.of_borrower(b.ino);
        assert_eq!(numbers.len(), 1, "what is not told yet is not over when the file is published");
        drop(telling);
        loans.end(&numbers);
        assert!(loans.lends(a.ino));
        let number = b.ino;
        inodes.detach(InodeNo::ROOT, &Name::from_key_component("b").unwrap());
        inodes.forget(number, 1);
        drop(b);
        assert!(loans.of_lender(a.ino).iter().all(|(_, borrower)| borrower.is_none()));
    }
}
