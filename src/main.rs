//! The `partfs` program: reads the command line, does what it says, turns the result into an exit
//! code – 0 done, 1 failed or something was lost, 2 wrongly asked for; called by mount(8), what that expects.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use partfs::cli::{self, Command, MockCommand};
use partfs::clock::SystemClock;
use partfs::mock::MockServer;
use partfs::mount::{self, Outcome, StopSignals};

// Half the page faults of glibc's allocator with buffers of this size, and memory that comes back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let caller = cli::Caller::of(&arguments);
    let command = match cli::parse(arguments) {
        Ok(command) => command,
        Err(stop) => return ExitCode::from(stop.report(caller)),
    };
    let result = match command {
        Command::Mount(config) => mount::run(&config),
        Command::Status(config) => mount::status::run(&config),
        Command::Check(config) => mount::check::run(&config),
        Command::Uploads(config) => mount::uploads::run(&config),
        Command::Link(config) => mount::link::run(&config),
        Command::Umount(config) => mount::umount::run(&config),
        Command::Keeper => mount::keeper::run(),
        Command::Mock(command) => return serve_mock(command),
        Command::Completions(shell) => {
            return written(cli::write_completions(shell, &mut io::stdout()), "standard output");
        }
        Command::ManPages(dir) => {
            return written(cli::write_man_pages(&dir), &dir.display().to_string());
        }
        Command::AskMount { mountpoint } => {
            // Its daemon is the only one who listens, and has gone when this fails.
            let _ = mount::asker::run(&mountpoint);
            return ExitCode::SUCCESS;
        }
        Command::Nothing => Ok(Outcome::Done),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Lost) => ExitCode::from(caller.failed()),
        Err(error) => {
            error.report();
            ExitCode::from(caller.failed())
        }
    }
}

/// The end of a command that writes texts.
fn written(result: io::Result<()>, place: &str) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "partfs: cannot write to {place}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `partfs mock`: serves until it is told to stop; then tells how often it was asked for what, and
/// how often each fault has struck.
fn serve_mock(command: MockCommand) -> ExitCode {
    let served = tokio::runtime::Runtime::new().and_then(|runtime| {
        runtime.block_on(async {
            let mut signals = StopSignals::new()?;
            let announcement = announcement(&command);
            let server = MockServer::start(command.config, Arc::new(SystemClock)).await?;
            server.faults().on_strike(|strike| {
                let _ = writeln!(io::stderr(), "{strike}");
            });
            for rule in command.faults {
                server.faults().add(rule);
            }
            let mut out = io::stdout();
            writeln!(out, "listening on http://{}\n{announcement}", server.address())?;
            out.flush()?;
            signals.next().await;
            let (counts, struck) = (server.request_counts(), server.faults().counts());
            server.stop().await;
            for (operation, count) in counts {
                // Who has closed the pipe does not want to know; the mock has served all the same.
                let _ = writeln!(out, "requests: {operation} {count}");
            }
            for (number, times) in (1..).zip(struck) {
                let _ = writeln!(out, "fault {number}: struck {times} times");
            }
            Ok(())
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "partfs: the mock failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a client has to know. Keys that the user brought are not repeated.
fn announcement(MockCommand { config, print_keys, .. }: &MockCommand) -> String {
    let mut text = format!("bucket {}", config.bucket);
    if *print_keys {
        text += &format!(
            "\naccess key id {}\nsecret access key {}",
            config.access_key_id, config.secret_access_key
        );
    }
    text
}
