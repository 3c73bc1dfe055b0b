//! What is missing in a streamed log is filled in from the job's own, in its place, and nothing stands twice.

use proptest::prelude::*;
use raxx_console::domain::SENDER_GAP;
use raxx_console::domain::gaps::{FILLED, STREAMED_AGAIN, fill};

#[test]
fn an_end_that_was_lost_is_filled_in_up_to_where_the_runner_speaks() {
    let job = "##[group]Run x\n##[endgroup]\na\nb\nc\nd\nPost job cleanup.\nbye\n";
    assert_eq!(fill("a\nb\n", job).as_deref(), Some(&*format!("a\nb\n{FILLED}c\nd\n")));
    assert_eq!(fill("a\nb\nc\nd\n", job), None);
    assert_eq!(fill("a\nb\nc\nd", job), None, "only its line break is missing");
    assert_eq!(fill("x\ny\n", job), None, "it is another log");
}

#[test]
fn what_the_runner_writes_in_another_form_does_not_stand_twice() {
    for (streamed, job) in [
        ("a\n::endgroup::\n", "a\n##[endgroup]\n"),
        ("a\n::error file=x,line=1::boom\n", "a\n##[error]boom\n"),
        ("a\n10%\r50%\r100%\n", "a\n10%\n50%\n100%\n"),
        ("a\ndeploying to *** now\n", "a\ndeploying to internal-host now\n"),
        ("a\nnowhere to be found\n", "a\nb\n"),
    ] {
        assert_eq!(fill(streamed, job), None, "{streamed:?}");
    }
    let streamed = format!("a\n::group::G\nb\n{SENDER_GAP}::endgroup::\nd\n");
    let whole = fill(&streamed, "a\n##[group]G\nb\nc\n##[endgroup]\nd\n").unwrap();
    assert!(
        whole.contains(&format!("b\n{FILLED}c\n{STREAMED_AGAIN}::endgroup::\n")),
        "{whole}"
    );
}

#[test]
fn after_a_piece_that_is_nowhere_the_next_gap_stays_and_later_ones_are_filled() {
    let job = "a\nb\nc\nd\ne\nf\n";
    let streamed = format!("a\n{SENDER_GAP}[too large]\n{SENDER_GAP}d\n{SENDER_GAP}f\n");
    let whole = fill(&streamed, job).unwrap();
    assert_eq!(
        whole,
        format!("a\n{SENDER_GAP}[too large]\n{SENDER_GAP}d\n{FILLED}e\n{STREAMED_AGAIN}f\n")
    );
}

#[test]
fn lines_that_were_cut_are_whole_in_the_end_and_do_not_stand_twice() {
    let job = "alpha\nbravo\ncharlie\ndelta\necho\n";
    let streamed = format!("alpha\nbra{SENDER_GAP}lta\necho\n");
    let whole = format!("alpha\n{FILLED}bravo\ncharlie\ndelta\n{STREAMED_AGAIN}echo\n");
    assert_eq!(fill(&streamed, job).as_deref(), Some(&*whole));
}

#[test]
fn lines_that_repeat_are_counted_and_colours_do_not_matter() {
    let job = "a\nwait\nwait\nwait\nwait\nwait\ndone\n";
    let streamed = format!("a\nwait\n{SENDER_GAP}wait\n\u{1b}[32mdone\u{1b}[0m\n");
    let whole = fill(&streamed, job).unwrap();
    assert_eq!(whole.matches("wait\n").count(), 5, "{whole}");
    assert!(!whole.contains(SENDER_GAP));
}

#[test]
fn a_log_that_would_take_for_ever_is_left_alone() {
    let job = "\n".repeat(300_000);
    let streamed = format!("\n{SENDER_GAP}").repeat(2_000);
    assert!(fill(&streamed, &job).is_none_or(|whole| whole.contains(SENDER_GAP)));
    assert_eq!(fill("a\n", &"a\n".repeat(500_000)), None);
    assert_eq!(fill(&"a\n".repeat(500_000), "a\n"), None);
    // And one that is merely long is not.
    let job: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    let (start, end) = (job.find("line 90000").unwrap(), job.find("line 90005").unwrap());
    let whole = fill(&format!("{}{SENDER_GAP}{}", &job[..start], &job[end..]), &job).unwrap();
    assert!(whole.contains("line 90003\n"));
}

#[test]
fn what_cannot_be_placed_stays_a_gap() {
    let job = "a\nb\nc\nd\n";
    let streamed = format!("a\n{SENDER_GAP}nowhere\n{SENDER_GAP}d\n");
    assert_eq!(fill(&streamed, job), None);
}

proptest! {
    #[test]
    fn whatever_is_left_out_comes_back_in_its_place(
        lines in prop::collection::vec("[a-c]{0,2}", 1..40),
        cuts in prop::collection::vec((0..40_usize, 1..8_usize), 1..4),
    ) {
        // Numbered, each line is the only one of its kind.
        let lines: Vec<String> = lines.iter().enumerate().map(|(number, line)| format!("{number} {line}\n")).collect();
        let mut kept: Vec<Option<&str>> = lines.iter().map(|line| Some(line.as_str())).collect();
        for (from, length) in cuts {
            let from = from.clamp(1, kept.len());
            let to = (from + length).min(kept.len().saturating_sub(1)).max(from);
            kept[from.min(to)..to].fill(None);
        }
        let mut streamed = String::new();
        for (index, line) in kept.iter().enumerate() {
            match line {
                Some(line) => streamed.push_str(line),
                None if kept[index - 1].is_some() => streamed.push_str(SENDER_GAP),
                None => {}
            }
        }
        let job = lines.concat();
        let whole = fill(&streamed, &job).unwrap_or(streamed);
        prop_assert_eq!(whole.replace(FILLED, "").replace(STREAMED_AGAIN, ""), job);
    }

    #[test]
    fn no_line_stands_more_often_than_the_job_printed_it(
        lines in prop::collection::vec("[ab]", 1..30),
        keep in prop::collection::vec(any::<bool>(), 30),
    ) {
        let job: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut streamed = String::new();
        let mut in_gap = false;
        for (line, keep) in lines.iter().zip(keep) {
            if keep {
                streamed.extend([line.as_str(), "\n"]);
            } else if !in_gap {
                streamed.push_str(SENDER_GAP);
            }
            in_gap = !keep;
        }
        let whole = fill(&streamed, &job).unwrap_or(streamed);
        for kind in ["a\n", "b\n"] {
            let count = |text: &str| text.split_inclusive('\n').filter(|line| *line == kind).count();
            prop_assert!(count(&whole) <= count(&job), "{kind:?} in {whole:?} of {job:?}");
        }
    }
}

#[test]
fn where_nothing_was_streamed_the_log_of_the_job_stands_whole() {
    assert_eq!(fill(" \n", "a\nb\n").as_deref(), Some(&*format!("{FILLED}a\nb\n")));
    assert_eq!(fill("", " \n"), None, "nor did the job say anything");
}

#[test]
fn a_gap_in_which_nothing_is_missing_stays_as_it_is() {
    let streamed = format!("a\n{SENDER_GAP}b\n{SENDER_GAP}d\n");
    let whole = format!("a\n{SENDER_GAP}b\n{FILLED}c\n{STREAMED_AGAIN}d\n");
    assert_eq!(fill(&streamed, "a\nb\nc\nd\n").as_deref(), Some(&*whole));
}

#[test]
fn texts_of_more_lines_than_can_be_compared_are_left_alone() {
    let job = |lines: usize| format!("first\nsecond\n{}", "x\n".repeat(lines - 2));
    assert!(fill("first\nsecond\n", &job(400_000)).is_some());
    assert_eq!(fill("first\nsecond\n", &job(400_001)), None);
}
