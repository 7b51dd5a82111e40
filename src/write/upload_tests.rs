//! Every order of events ends, and no order sends a part twice or leaves an upload behind.

use proptest::prelude::*;

use super::*;
use crate::store::{ETag, ErrorKind, Key, Operation, StoreError, UploadId};

fn upload() -> OpenUpload {
    OpenUpload { key: Key::new("k").unwrap(), id: UploadId::new("id") }
}

fn refused() -> StoreError {
    StoreError::new(ErrorKind::Unavailable, Operation::PutPart, "no")
}

fn receipt(number: PartNumber) -> PartReceipt {
    PartReceipt { number, etag: ETag::new("e"), size: 1, checksum: None }
}

const EXPECTED: Expected = Expected { size: 3, checksum: None, create_only: false };

/// What the world may still answer.
#[derive(Debug, Default)]
struct World {
    start: bool,
    parts: Vec<PartNumber>,
    complete: bool,
    sent: Vec<(PartNumber, u32)>,
    completes: u32,
    aborts: u32,
    started: bool,
}

impl World {
    fn run(&mut self, commands: Vec<Command<u32>>, sealed: u32) {
        for command in commands {
            match command {
                Command::Start => {
                    assert!(!self.start && !self.started);
                    self.start = true;
                }
                Command::Send { number, part, .. } => {
                    assert!(self.started && self.aborts == 0 && self.completes == 0);
                    self.parts.push(number);
                    self.sent.push((number, part));
                }
                Command::Complete { parts, expected, .. } => {
                    assert!(self.parts.is_empty() && self.aborts == 0);
                    assert_eq!(expected, EXPECTED);
                    let numbers: Vec<u16> = parts.iter().map(|part| part.number.get()).collect();
                    let all: Vec<u16> = (1..=sealed as u16).collect();
                    assert_eq!(numbers, all, "ascending, without gaps, all of them");
                    self.complete = true;
                    self.completes += 1;
                }
                Command::Abort { .. } => {
                    assert!(self.parts.is_empty() && !self.complete && self.started);
                    self.aborts += 1;
                }
            }
        }
        assert!(self.completes <= 1 && self.aborts <= 1);
    }
}

proptest! {
    #[test]
    fn every_order_of_events_ends_and_cleans_up(
        choices in prop::collection::vec((0u8..6, any::<u16>(), 0u8..8), 0..60),
    ) {
        let mut state = Upload::<u32>::Empty;
        let mut world = World::default();
        let (mut sealed, mut finished, mut first_cause) = (0u32, false, None::<String>);
        let mut completed_ok = false;
        // After the random part, the world answers everything that is open and the owner gives up.
        let tail = (0..80).map(|_| None);
        for choice in choices.into_iter().map(Some).chain(tail) {
            let (kind, index, luck) = choice.unwrap_or_else(|| {
                let kind = if world.start { 2 } else if !world.parts.is_empty() { 3 }
                    else if world.complete { 4 } else { 5 };
                (kind, 0, 1)
            });
            let ended = state.end().is_some();
            let event = match kind {
                0 if !finished => {
                    if !ended { sealed += 1; }
                    Event::Seal(sealed)
                }
                1 if !finished && sealed > 0 => { finished = true; Event::Finish(EXPECTED) }
                2 if world.start => {
                    world.start = false;
                    world.started = luck > 0;
                    Event::Started(if luck > 0 { Ok(upload()) } else { Err(refused()) })
                }
                3 if !world.parts.is_empty() => {
                    let number = world.parts.swap_remove(usize::from(index) % world.parts.len());
                    Event::Sent(number, if luck > 0 { Ok(receipt(number)) } else { Err(refused().into()) })
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
                5 if luck < 2 => Event::GiveUp(WriteError::Discarded),
                _ => continue,
            };
            let settled = state.end().is_some() && state.is_settled();
            let (next, commands) = state.apply(event);
            prop_assert!(!settled || commands.is_empty(), "no command after the end");
            world.run(commands, sealed);
            state = next;
            if let Some(Err(cause)) = state.end() {
                let cause = cause.to_string();
                prop_assert_eq!(first_cause.get_or_insert(cause.clone()), &cause, "first cause stays");
            }
        }
        prop_assert!(state.end().is_some() && state.is_settled());
        let mut parts: Vec<u32> = world.sent.iter().map(|(_, part)| *part).collect();
        parts.sort_unstable();
        parts.dedup();
        prop_assert_eq!(parts.len(), world.sent.len(), "each sealed part is sent once");
        prop_assert!(world.sent.iter().all(|(number, part)| u32::from(number.get()) == *part));
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
    let (_, commands) = state.apply(Event::Sent(second, Ok(receipt(second))));
    assert_eq!(commands, vec![Command::Abort { upload: upload() }]);
}
