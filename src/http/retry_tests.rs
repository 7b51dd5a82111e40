//! The retry loop under a stopped clock: when it goes on, when it ends, how long it waits.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;

const PATIENCE: Patience = Patience { total: Duration::from_secs(60), max_attempts: 5 };

fn again(error: &'static str) -> Verdict<u32, &'static str> {
    Verdict::Again { error, after: None }
}

#[tokio::test(start_paused = true)]
async fn ends_with_the_first_success() {
    let result =
        persist(PATIENCE, async |number| if number == 3 { Verdict::Done(7) } else { again("no") })
            .await;
    assert_eq!(result, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_final_error_is_not_repeated() {
    let result: Result<u32, _> = persist(PATIENCE, async |_| Verdict::Final("never")).await;
    assert_eq!(result, Err(Exhausted { error: Some("never"), cut_off: false, attempts: 1 }));
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_so_many_attempts() {
    let starts = RefCell::new(Vec::new());
    let result = persist(PATIENCE, async |_| {
        starts.borrow_mut().push(Instant::now());
        again("no")
    })
    .await;
    assert_eq!(result, Err(Exhausted { error: Some("no"), cut_off: false, attempts: 5 }));
    for (index, pair) in starts.borrow().windows(2).enumerate() {
        // The timer of tokio counts whole milliseconds and rounds up.
        let bound = FIRST_PAUSE * (1 << index) + Duration::from_millis(1);
        assert!(pair[1] - pair[0] <= bound, "pause {index} is {:?}", pair[1] - pair[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_an_attempt_off() {
    let start = Instant::now();
    let result: Result<u32, _> = persist(PATIENCE, async |number| {
        if number == 1 {
            return again("first");
        }
        std::future::pending().await
    })
    .await;
    assert_eq!(result, Err(Exhausted { error: Some("first"), cut_off: true, attempts: 2 }));
    assert!(start.elapsed() >= PATIENCE.total);
    assert!(start.elapsed() <= PATIENCE.total + Duration::from_millis(2));
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_server_asks() {
    let start = Instant::now();
    let result = persist(PATIENCE, async |number| match number {
        1 => Verdict::Again { error: "busy", after: Some(Duration::from_secs(20)) },
        _ => Verdict::Done(1),
    })
    .await;
    assert_eq!(result, Ok(1));
    assert!(start.elapsed() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_all_the_time_there_is_gets_further_attempts() {
    let patience = Patience { total: Duration::from_secs(120), max_attempts: 20 };
    let start = Instant::now();
    let result = persist(patience, async |number| match number {
        // What MinIO says when it is busy; it was busy for 80 seconds.
        _ if start.elapsed() < Duration::from_secs(80) => {
            Verdict::Again { error: "busy", after: Some(Duration::from_secs(120)) }
        }
        _ => Verdict::Done(number),
    })
    .await;
    assert_eq!(result, Ok(3));
    assert!(start.elapsed() <= Duration::from_secs(100), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiting_as_asked_ends_in_time() {
    for max_attempts in [5, u32::MAX] {
        let start = Instant::now();
        let patience = Patience { max_attempts, ..PATIENCE };
        let result: Result<u32, _> = persist(patience, async |_| Verdict::Again {
            error: "busy",
            after: Some(Duration::MAX),
        })
        .await;
        let exhausted = result.unwrap_err();
        assert_eq!((exhausted.error, exhausted.cut_off), (Some("busy"), false));
        assert!((2..100).contains(&exhausted.attempts), "{exhausted:?}");
        assert!(start.elapsed() <= PATIENCE.total);
    }
}

proptest! {
    #[test]
    fn pauses_stay_below_their_bound(number in 1u32.., random: u32) {
        let bound = FIRST_PAUSE.as_secs_f64() * 2f64.powi((number - 1).min(20) as i32);
        let pause = pause_before(number, random);
        prop_assert!(pause.as_secs_f64() <= bound + 1e-6);
        prop_assert!(pause <= LONGEST_PAUSE);
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let mut headers = HeaderMap::new();
    assert_eq!(retry_after(&headers), None);
    headers.insert("retry-after", "7".parse().unwrap());
    assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
    headers.insert("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT".parse().unwrap());
    assert_eq!(retry_after(&headers), None);
    headers.insert("date", "Tue, 14 Nov 2023 22:13:20 GMT".parse().unwrap());
    assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
    headers.insert("retry-after", "-1".parse().unwrap());
    assert_eq!(retry_after(&headers), None);
}
