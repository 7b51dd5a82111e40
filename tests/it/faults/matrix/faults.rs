//! What goes wrong, as data: for one request of a run, every fault that it can meet, and what must come of
//! it. The identifiers are those of the catalogue in docs/FAULTS.md.

use std::time::Duration;

use partfs::mock::{Action, FaultRule, Misassembly, MockDialect, Place};
use partfs::store::Operation;

const ALWAYS: u32 = FaultRule::ALWAYS;

/// One request of a run without faults.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    pub dialect: MockDialect,
    pub operation: Operation,
    /// So many of its kind come before it.
    pub skip: u32,
    /// Most bytes of a body of its kind.
    pub body_bytes: u64,
}

/// What the program must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It passes: a failure is a false one.
    Success,
    /// It may fail, as long as it says so.
    Either,
}

#[derive(Debug, Clone)]
pub struct Fault {
    /// In the catalogue.
    pub id: &'static str,
    pub name: String,
    pub rules: Vec<FaultRule>,
    pub expected: Expected,
    /// An upload may stay behind: its id was lost, or Abort is struck as well.
    pub leak_possible: bool,
    /// The service itself makes another object than it was asked for.
    pub third_possible: bool,
    /// Nothing that the service tells shows the fault.
    pub undetectable: bool,
}

impl Fault {
    fn leaks(mut self) -> Self {
        self.leak_possible = true;
        self
    }
}

/// Every fault of one request.
pub fn faults_at(spot: &Spot) -> Vec<Fault> {
    let mut faults = passing(spot);
    if changes(spot.operation) {
        faults.extend(answer_lost(spot));
    }
    if has_body(spot.operation) {
        faults.extend(body_spoiled(spot));
    }
    if in_upload(spot.operation) {
        faults.push(one("F10", "the upload is aborted before", spot, Action::AbortUpload));
    }
    if matches!(spot.operation, Operation::StartUpload | Operation::PutPart) {
        let rule = spot.rule(Action::AbortUpload).after_apply();
        faults.push(fault("F10", "the upload is aborted after", vec![rule], Expected::Either));
    }
    if spot.operation == Operation::CompleteUpload {
        faults.extend(complete(spot));
    }
    if reads(spot.operation) {
        faults.extend(answer_spoiled(spot));
    }
    faults.extend(lasting(spot));
    faults.extend(refused(spot));
    faults
}

fn changes(operation: Operation) -> bool {
    !reads(operation)
}

fn reads(operation: Operation) -> bool {
    use Operation::{Get, Head, List, ListParts, ListUploads};
    matches!(operation, Head | Get | List | ListParts | ListUploads)
}

fn has_body(operation: Operation) -> bool {
    matches!(operation, Operation::Put | Operation::PutPart)
}

fn in_upload(operation: Operation) -> bool {
    use Operation::{CompleteUpload, CopyPart, PutPart};
    matches!(operation, PutPart | CopyPart | CompleteUpload)
}

impl Spot {
    fn rule(&self, action: Action) -> FaultRule {
        FaultRule::new(action).on(self.operation).skip(self.skip)
    }

    /// A code as the service words it.
    fn code(&self, xml: &str, qingstor: &str) -> String {
        let code = if self.dialect == MockDialect::Qingstor { qingstor } else { xml };
        code.to_owned()
    }

    fn status(&self, status: u16, xml: &str, qingstor: &str) -> Action {
        Action::Status(status, self.code(xml, qingstor))
    }

    fn slow_down(&self) -> Action {
        self.status(503, "SlowDown", "service_unavailable")
    }

    fn broken(&self) -> Action {
        self.status(500, "InternalError", "internal_error")
    }

    /// Whether an upload that the request makes is not known to the client when its answer is lost.
    fn opens(&self) -> bool {
        self.operation == Operation::StartUpload
    }
}

fn fault(id: &'static str, name: &str, rules: Vec<FaultRule>, expected: Expected) -> Fault {
    Fault {
        id,
        name: name.to_owned(),
        rules,
        expected,
        leak_possible: false,
        third_possible: false,
        undetectable: false,
    }
}

fn one(id: &'static str, name: &str, spot: &Spot, action: Action) -> Fault {
    fault(id, name, vec![spot.rule(action)], Expected::Either)
}

/// It strikes so often, and passes.
fn short(id: &'static str, name: &str, spot: &Spot, action: Action, times: u32) -> Fault {
    fault(id, name, vec![spot.rule(action).times(times)], Expected::Success)
}

fn page() -> Action {
    Action::ProxyPage(200)
}

fn other(body: &str) -> Action {
    let content_type = "application/xml".to_owned();
    Action::Answer { status: 200, content_type, body: body.to_owned() }
}

/// What every request may meet, and outlives.
fn passing(spot: &Spot) -> Vec<Fault> {
    let too_many = spot.status(429, "TooManyRequests", "too_many_requests");
    vec![
        short("F01", "500 once", spot, spot.broken(), 1),
        short("F01", "503 once", spot, spot.slow_down(), 1),
        short("F01", "503 three times", spot, spot.slow_down(), 3),
        short("F01", "429 once", spot, too_many, 1),
        short("F03", "silence before", spot, Action::Stall, 1),
        short("F04", "reset before", spot, Action::Reset, 1),
        short("F70", "reset three times", spot, Action::Reset, 3),
    ]
}

/// It took effect, and the client does not learn it.
fn answer_lost(spot: &Spot) -> Vec<Fault> {
    let after = |id, name: &str, action| {
        let rule = spot.rule(action).after_apply();
        let fault = fault(id, name, vec![rule], Expected::Success);
        Fault { leak_possible: spot.opens(), ..fault }
    };
    let late = Action::ApplyLate(Duration::from_millis(150));
    vec![
        after("F01", "500 after", spot.broken()),
        after("F03", "silence after", Action::Stall),
        after("F22", "answer lost", Action::DropResponse),
        after("F24", "effect later", late),
    ]
}

/// The bytes of an object or part do not arrive as they were sent.
fn body_spoiled(spot: &Spot) -> Vec<Fault> {
    let mut faults = vec![
        short("F05", "slow link", spot, Action::Rate(64 << 10), 1),
        short("F06", "no ETag", spot, Action::MissingEtag, 1),
        // The ETag of a part may be anything; Complete shows that it is not the service's, and the list of
        // parts has it (QingStor asks for none).
        short("F06", "wrong ETag", spot, Action::WrongEtag, 1),
        short("F06", "wrong checksum", spot, Action::WrongCrc, 1),
        short(
            "F06",
            "error in 200",
            spot,
            Action::ErrorIn200(spot.code("InternalError", "internal_error")),
            1,
        ),
    ];
    let last = spot.body_bytes.saturating_sub(1);
    let mut places = vec![(0, "first"), (spot.body_bytes / 2, "middle"), (last, "last")];
    places.dedup_by_key(|(byte, _)| *byte);
    for (byte, name) in places.into_iter().filter(|_| spot.body_bytes > 0) {
        let actions = [
            ("F03", "silence", Action::Stall),
            ("F04", "reset", Action::Reset),
            ("F07", "bit flipped", Action::Corrupt),
            ("F07", "cut", Action::Truncate),
        ];
        for (id, what, action) in actions {
            let rule = spot.rule(action).at(Place::Request(byte));
            let name = format!("{what} at the {name} byte");
            faults.push(fault(id, &name, vec![rule], Expected::Success));
        }
    }
    faults
}

fn complete(spot: &Spot) -> Vec<Fault> {
    let error = || Action::ErrorIn200(spot.code("InternalError", "internal_error"));
    let after = |action| spot.rule(action).after_apply();
    let blanks = || Action::Blanks { count: 5, interval: Duration::from_millis(10) };
    let answer = |action, byte| spot.rule(action).at(Place::Answer(byte));
    let passes = |id, name: &str, rules| fault(id, name, rules, Expected::Success);
    let fails = |id, name: &str, rules| fault(id, name, rules, Expected::Either);
    let wrong = |name: &str, how| {
        // QingStor states no checksum of an object.
        let by_size_only = spot.dialect == MockDialect::Qingstor && how == Misassembly::SwapParts;
        let fault = fails("F30", name, vec![spot.rule(Action::Misassemble(how))]);
        Fault { third_possible: true, undetectable: by_size_only, ..fault }
    };
    let invalid = |xml: &str, qingstor: &str| vec![spot.rule(spot.status(400, xml, qingstor))];
    let empty = |body: &str| spot.rule(other(body)).after_apply();
    vec![
        passes("F20", "error in 200", vec![spot.rule(error())]),
        passes("F20", "error in 200 three times", vec![spot.rule(error()).times(3)]),
        passes("F20", "error in 200 after", vec![after(error())]),
        passes("F20", "blanks, then error in 200", vec![spot.rule(blanks()), spot.rule(error())]),
        passes("F21", "blanks", vec![spot.rule(blanks())]),
        passes(
            "F21",
            "blanks, then the end",
            vec![spot.rule(blanks()), spot.rule(Action::Truncate)],
        ),
        passes("F22", "every answer lost", vec![spot.rule(Action::DropResponse).times(ALWAYS)]),
        passes("F22", "answer cut at its first byte", vec![answer(Action::Reset, 0)]),
        passes("F22", "answer cut", vec![answer(Action::Reset, 20)]),
        passes("F22", "answer stalls at its first byte", vec![answer(Action::Stall, 0)]),
        passes("F22", "answer stalls", vec![answer(Action::Stall, 20)]),
        passes(
            "F24",
            "effect much later",
            vec![spot.rule(Action::ApplyLate(Duration::from_millis(1500)))],
        ),
        fails(
            "F25",
            "aborted, and its answer lost",
            vec![spot.rule(Action::AbortUpload), spot.rule(Action::Reset)],
        ),
        fails("F27", "EntityTooSmall", invalid("EntityTooSmall", "invalid_argument")),
        fails("F27", "InvalidPart", invalid("InvalidPart", "invalid_argument")),
        fails("F27", "InvalidPartOrder", invalid("InvalidPartOrder", "invalid_argument")),
        fails("F28", "409", vec![spot.rule(spot.status(409, "OperationAborted", "conflict"))]),
        fails(
            "F28",
            "412",
            vec![spot.rule(spot.status(412, "PreconditionFailed", "precondition_failed"))],
        ),
        fails("F29", "page of HTML after", vec![after(page())]),
        fails("F29", "empty 200 before", vec![spot.rule(other(""))]),
        fails("F29", "empty 200 after", vec![empty("")]),
        fails("F29", "another root before", vec![spot.rule(other("<ListBucketResult/>"))]),
        fails("F29", "another root after", vec![empty("<ListBucketResult/>")]),
        fails("F29", "half a document after", vec![empty("<CompleteMultipartUploadResult><ETag>")]),
        wrong("parts swapped", Misassembly::SwapParts),
        wrong("a part dropped", Misassembly::DropPart),
        fails("F30", "wrong ETag", vec![spot.rule(Action::WrongEtag)]),
        fails("F30", "wrong checksum", vec![spot.rule(Action::WrongCrc)]),
        fails(
            "F02",
            "refused, and Abort fails once",
            vec![
                spot.rule(spot.status(400, "InvalidPart", "invalid_argument")).times(ALWAYS),
                FaultRule::new(spot.slow_down()).on(Operation::AbortUpload),
            ],
        ),
        fails(
            "F02",
            "refused, and the answer to Abort is lost",
            vec![
                spot.rule(spot.status(400, "InvalidPart", "invalid_argument")).times(ALWAYS),
                FaultRule::new(Action::DropResponse).on(Operation::AbortUpload),
            ],
        ),
    ]
}

/// Answers that are read do not arrive as they were sent.
fn answer_spoiled(spot: &Spot) -> Vec<Fault> {
    let mut faults = Vec::new();
    if matches!(spot.operation, Operation::Get | Operation::List) {
        faults.extend([
            short("F75", "half of the answer", spot, Action::Truncate, 1),
            fault(
                "F75",
                "silence in the answer",
                vec![spot.rule(Action::Stall).at(Place::Answer(100))],
                Expected::Success,
            ),
            one("F75", "another body", spot, other(&"x".repeat(1000))),
            one("F75", "empty body", spot, other("")),
        ]);
    }
    faults.push(one("F74", "page of HTML", spot, page()));
    faults
}

/// It goes on for longer than anybody waits.
fn lasting(spot: &Spot) -> Vec<Fault> {
    let always = |id, name: &str, action| {
        fault(id, name, vec![spot.rule(action).times(ALWAYS)], Expected::Either)
    };
    let no_abort = |action| FaultRule::new(action).on(Operation::AbortUpload).times(ALWAYS);
    let dead = || vec![spot.rule(Action::Reset).times(ALWAYS), no_abort(Action::Reset)];
    vec![
        always("F02", "503 always", spot.slow_down()),
        always("F03", "silence always", Action::Stall),
        always("F70", "reset always", Action::Reset),
        fault("F70", "reset always, Abort too", dead(), Expected::Either).leaks(),
        always("F74", "page of HTML always", page()),
        // A wrong clock is named, and not worked around.
        always("F13", "clock an hour ahead", Action::ClockOffset(3600)),
        always("F13", "clock an hour behind", Action::ClockOffset(-3600)),
        always("F13", "clock ten years ahead", Action::ClockOffset(315_360_000)),
        one("F11", "credentials expire", spot, Action::ExpireCredentials).leaks(),
    ]
}

/// The service says no, and means it.
fn refused(spot: &Spot) -> Vec<Fault> {
    let denied = || spot.status(403, "AccessDenied", "permission_denied");
    let no_abort = FaultRule::new(denied()).on(Operation::AbortUpload).times(ALWAYS);
    let and_abort = vec![spot.rule(denied()).times(ALWAYS), no_abort];
    let nowhere = || Action::RedirectTo("http://127.0.0.1:1/".to_owned());
    let large = spot.status(400, "EntityTooLarge", "request_entity_too_large");
    let gone = spot.status(404, "NoSuchBucket", "bucket_not_exists");
    // The answer to a HEAD has no code: its 404 is no fault, but says that the object is gone.
    let gone = (spot.operation != Operation::Head).then(|| one("F09", "bucket gone", spot, gone));
    let mut faults = vec![
        one("F09", "too large", spot, large),
        one(
            "F09",
            "invalid argument",
            spot,
            spot.status(400, "InvalidArgument", "invalid_argument"),
        ),
        one("F12", "access denied", spot, denied()),
        fault("F12", "access denied, Abort too", and_abort, Expected::Either).leaks(),
        one("F14", "redirected once", spot, nowhere()),
    ];
    faults.extend(gone);
    faults
}
