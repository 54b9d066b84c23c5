//! Whatever crashes and whenever: nothing that is queued is lost but what crashed, and the same seed tells the same story.

use proptest::prelude::*;
use tokio::time::sleep;

use super::kit::*;
use crate::{ChildPolicy, Lane, Randomness, Supervisor};

const WORDS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(Lane),
    Panic,
    Retried(usize),
    Pause,
    Restart,
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Control), Just(Lane::High), Just(Lane::Normal)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => lane().prop_map(Step::Write),
        2 => Just(Step::Panic),
        1 => (0..3usize).prop_map(Step::Retried),
        1 => Just(Step::Pause),
        1 => Just(Step::Restart),
    ]
}

/// Plays `steps`; returns what was sent to be written, and what the diary says was.
async fn play(steps: &[Step], seed: u64) -> (Vec<&'static str>, Vec<String>) {
    let diary = Diary::default();
    let policy = |policy: &mut ChildPolicy| policy.intensity.restarts = 1_000;
    let (child, addr) = Spec::new("a").policy(policy).build(&diary);
    let supervisor = Supervisor::new(&Randomness::seeded(seed)).child(child).start();
    let mut sent = Vec::new();
    for (step, word) in steps.iter().zip(WORDS.iter().cycle()) {
        match step {
            Step::Write(lane) => {
                addr.try_tell(write(word).lane(*lane)).unwrap();
                sent.push(*word);
            }
            Step::Panic => addr.try_tell(Panic).unwrap(),
            Step::Retried(times) => addr.try_tell(PanicTwice::times(*times)).unwrap(),
            Step::Pause => sleep(millis(70)).await,
            Step::Restart => supervisor.restart("a").await.unwrap(),
        }
    }
    // Longer than all the back-offs together.
    sleep(secs(1_000)).await;
    assert_eq!(supervisor.status()[0].mailbox.messages(), 0);
    supervisor.shutdown().await;
    (sent, diary.lines())
}

fn run(steps: &[Step], seed: u64) -> (Vec<&'static str>, Vec<String>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(play(steps, seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_queued_is_lost_but_what_crashed(steps in prop::collection::vec(step(), 1..60), seed in any::<u64>()) {
        let (mut sent, lines) = run(&steps, seed);
        let mut written: Vec<&str> = lines.iter().map(String::as_str).filter(|line| WORDS.contains(line)).collect();
        sent.sort_unstable();
        written.sort_unstable();
        prop_assert_eq!(sent, written);
    }

    #[test]
    fn the_same_seed_tells_the_same_story(steps in prop::collection::vec(step(), 1..40), seed in any::<u64>()) {
        prop_assert_eq!(run(&steps, seed), run(&steps, seed));
    }
}
