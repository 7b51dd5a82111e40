//! Every order of events ends, and no order loses the last bytes of a part, has two requests out for one
//! or leaves an upload behind.

use proptest::prelude::*;

use super::*;
use crate::store::{
    ETag, ErrorKind, Key, ObjectVersion, Operation, Replaces, StoreError, UploadId,
};

fn upload() -> OpenUpload {
    OpenUpload { key: Key::new("k").unwrap(), id: UploadId::new("id") }
}

fn refused() -> StoreError {
    StoreError::new(ErrorKind::Unavailable, Operation::PutPart, "no")
}

/// Its size tells of which bytes it is.
fn receipt(number: PartNumber, part: u32) -> PartReceipt {
    PartReceipt { number, etag: ETag::new("e"), size: part.into(), checksum: None }
}

const EXPECTED: Expected = Expected { size: 3, checksum: None, replaces: Replaces::Anything };

/// What the world may still answer.
#[derive(Debug, Default)]
struct World {
    start: bool,
    parts: Vec<(PartNumber, u32)>,
    complete: bool,
    sent: Vec<(PartNumber, u32)>,
    /// What the service holds.
    held: BTreeMap<PartNumber, u32>,
    completes: u32,
    aborts: u32,
    /// An abort that is not answered.
    aborting: bool,
    started: bool,
}

impl World {
    /// `last` are the bytes that each number was given last.
    fn run(&mut self, commands: Vec<Command<u32>>, last: &BTreeMap<PartNumber, u32>) {
        for command in commands {
            match command {
                Command::Start => {
                    assert!(!self.start && !self.started);
                    self.start = true;
                }
                Command::Send { number, part, .. } => {
                    assert!(self.started && self.aborts == 0 && self.completes == 0);
                    assert!(self.parts.iter().all(|(out, _)| *out != number), "one at a time");
                    self.parts.push((number, part));
                    self.sent.push((number, part));
                }
                Command::Complete { parts, expected, sent_again, .. } => {
                    assert!(self.parts.is_empty() && self.aborts == 0);
                    assert_eq!(expected, EXPECTED);
                    let numbers: Vec<_> = parts.iter().map(|part| &part.number).collect();
                    assert_eq!(numbers, last.keys().collect::<Vec<_>>(), "ascending, all of them");
                    assert_eq!(&self.held, last, "the last bytes of each number");
                    let receipts = parts.iter().map(|part| (part.number, part.size as u32));
                    assert_eq!(&receipts.collect::<BTreeMap<_, _>>(), last, "and their receipts");
                    assert_eq!(sent_again, self.sent.len() > last.len());
                    self.complete = true;
                    self.completes += 1;
                }
                Command::Abort { .. } => {
                    assert!(self.parts.is_empty() && !self.complete && self.started);
                    self.aborts += 1;
                    self.aborting = true;
                }
            }
        }
        assert!(self.completes <= 1 && self.aborts <= 1);
    }
}

proptest! {
    #[test]
    fn every_order_of_events_ends_and_cleans_up(
        choices in prop::collection::vec((0u8..9, any::<u16>(), 0u8..8), 0..60),
    ) {
        let mut state = Upload::<u32>::Empty;
        let mut world = World::default();
        let (mut sealed, mut finished, mut first_cause) = (0u32, false, None::<String>);
        // The bytes of a part are told apart by a number that is never used again.
        let (mut made, mut last) = (0u32, BTreeMap::new());
        let mut completed_ok = false;
        // After the random part, the world answers everything that is open and the owner gives up.
        let tail = (0..160).map(|_| None);
        for choice in choices.into_iter().map(Some).chain(tail) {
            let (kind, index, luck) = choice.unwrap_or_else(|| {
                let kind = if world.start { 2 } else if !world.parts.is_empty() { 3 }
                    else if world.complete { 4 } else if world.aborting { 8 } else { 5 };
                (kind, 0, 1)
            });
            let ended = state.end().is_some();
            let event = match kind {
                0 if !finished => {
                    made += 1;
                    if !ended {
                        sealed += 1;
                        last.insert(PartNumber::new(sealed.into()).unwrap(), made);
                    }
                    Event::Seal(made)
                }
                6 | 7 if sealed > 0 => {
                    let number = PartNumber::new(u64::from(u32::from(index) % sealed + 1)).unwrap();
                    made += 1;
                    // After the end it means nothing.
                    if !ended && !finished { last.insert(number, made); }
                    Event::Change(number, made)
                }
                1 if !finished && sealed > 0 => { finished = true; Event::Finish(EXPECTED) }
                2 if world.start => {
                    world.start = false;
                    world.started = luck > 0;
                    Event::Started(if luck > 0 { Ok(upload()) } else { Err(refused()) })
                }
                3 if !world.parts.is_empty() => {
                    let (number, part) = world.parts.swap_remove(usize::from(index) % world.parts.len());
                    if luck > 0 { world.held.insert(number, part); }
                    let answer = if luck > 0 { Ok(receipt(number, part)) } else { Err(refused().into()) };
                    Event::Sent(number, answer)
                }
                4 if world.complete => {
                    world.complete = false;
                    completed_ok = luck > 0;
                    Event::Completed(if luck > 0 {
                        Ok(ObjectVersion { etag: ETag::new("o"), size: 3 })
                    } else {
                        Err(refused().into())
                    })
                }
                8 if world.aborting => { world.aborting = false; Event::Aborted }
                5 if luck < 2 => Event::GiveUp(WriteError::Discarded),
                _ => continue,
            };
            let settled = state.end().is_some() && state.is_settled();
            let (next, commands) = state.apply(event);
            prop_assert!(!settled || commands.is_empty(), "no command after the end");
            world.run(commands, &last);
            state = next;
            let may_complete = world.complete || world.completes > 0 && world.aborting;
            prop_assert_eq!(state.is_completing(), may_complete, "until it cannot be any more");
            if let Some(Err(cause)) = state.end() {
                let cause = cause.to_string();
                prop_assert_eq!(first_cause.get_or_insert(cause.clone()), &cause, "first cause stays");
            }
        }
        prop_assert!(state.end().is_some() && state.is_settled());
        let mut parts: Vec<u32> = world.sent.iter().map(|(_, part)| *part).collect();
        parts.sort_unstable();
        parts.dedup();
        prop_assert_eq!(parts.len(), world.sent.len(), "the same bytes are sent once");
        if world.started {
            prop_assert_eq!(world.aborts == 0, completed_ok, "completed, or aborted");
        } else {
            prop_assert_eq!(world.aborts, 0);
        }
    }
}

#[test]
fn an_id_that_comes_after_we_gave_up_is_aborted() {
    let (state, _) = Upload::Empty.apply(Event::Seal(1));
    let (state, commands) = state.apply(Event::GiveUp(WriteError::Timeout));
    assert!(commands.is_empty() && !state.is_settled());
    let (state, commands) = state.apply(Event::Started(Ok(upload())));
    assert_eq!(commands, vec![Command::Abort { upload: upload() }]);
    assert!(state.is_settled());
    assert!(matches!(state.end(), Some(Err(WriteError::Timeout))));
}

#[test]
fn the_abort_waits_for_the_last_part_in_flight() {
    let (state, _) = Upload::Empty.apply(Event::Seal(1));
    let (state, _) = state.apply(Event::Seal(2));
    let (state, commands) = state.apply(Event::Started(Ok(upload())));
    assert_eq!(commands.len(), 2);
    let (state, commands) = state.apply(Event::Sent(PartNumber::FIRST, Err(refused().into())));
    assert!(commands.is_empty());
    let second = PartNumber::new(2).unwrap();
    let (_, commands) = state.apply(Event::Sent(second, Ok(receipt(second, 2))));
    assert_eq!(commands, vec![Command::Abort { upload: upload() }]);
}

fn sends(commands: Vec<Command<u32>>) -> Vec<(u16, u32)> {
    let send = |command| match command {
        Command::Send { number, part, .. } => (number.get(), part),
        other => panic!("{other:?}"),
    };
    commands.into_iter().map(send).collect()
}

#[test]
fn changed_bytes_wait_for_the_answer_to_the_older_ones() {
    let first = PartNumber::FIRST;
    let (state, _) = Upload::Empty.apply(Event::Seal(1));
    let (state, commands) = state.apply(Event::Change(first, 2));
    assert!(commands.is_empty());
    let (state, commands) = state.apply(Event::Started(Ok(upload())));
    assert_eq!(sends(commands), [(1, 2)], "the older bytes are not sent at all");
    let (state, commands) = state.apply(Event::Change(first, 3));
    assert!(commands.is_empty());
    let (state, _) = state.apply(Event::Change(first, 4));
    let (state, _) = state.apply(Event::Finish(EXPECTED));
    assert_eq!(state.unconfirmed(), 1);
    let (state, commands) = state.apply(Event::Sent(first, Ok(receipt(first, 2))));
    assert_eq!(sends(commands), [(1, 4)]);
    let (_, commands) = state.apply(Event::Sent(first, Ok(receipt(first, 4))));
    let parts = vec![receipt(first, 4)];
    let complete =
        Command::Complete { upload: upload(), parts, expected: EXPECTED, sent_again: true };
    assert_eq!(commands, vec![complete]);
}

#[test]
fn a_change_of_what_was_never_sealed_fails_the_upload() {
    let second = PartNumber::new(2).unwrap();
    let (starting, _) = Upload::Empty.apply(Event::Seal(1));
    let (state, _) = starting.apply(Event::Change(second, 2));
    assert!(state.end().is_some_and(|end| end.is_err()) && !state.is_settled());
    let (_, commands) = state.apply(Event::Started(Ok(upload())));
    assert_eq!(commands, vec![Command::Abort { upload: upload() }]);

    let (state, _) = Upload::Empty.apply(Event::Seal(1));
    let (state, _) = state.apply(Event::Started(Ok(upload())));
    let (state, commands) = state.apply(Event::Change(second, 2));
    assert!(commands.is_empty(), "the first part is still out");
    let (_, commands) =
        state.apply(Event::Sent(PartNumber::FIRST, Ok(receipt(PartNumber::FIRST, 1))));
    assert_eq!(commands, vec![Command::Abort { upload: upload() }]);

    let (state, commands) = Upload::Empty.apply(Event::Change(second, 2));
    assert!(commands.is_empty() && state.end().is_some());
}
