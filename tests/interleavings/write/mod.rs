//! Of `src/write`: what is in flight, and waiting for memory.

#[path = "../../../src/write/flight.rs"]
mod flight;
#[path = "../../../src/write/room.rs"]
mod room;

mod flight_tests;
mod room_tests;
