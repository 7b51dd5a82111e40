//! Of `src/write`: what is in flight, waiting for memory, and waiting for uploads that failed.

#[path = "../../../src/write/flight.rs"]
mod flight;
#[path = "../../../src/write/room.rs"]
mod room;
#[path = "../../../src/write/settling.rs"]
mod settling;

mod flight_tests;
mod room_tests;
mod settling_tests;
