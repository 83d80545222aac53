//! The report's own arithmetic, and what it holds.

use super::*;

/// What the benchmark of artefacts reached when it was last looked at, per cent of all trials. It is raised when a model learns,
/// and never lowered.
const ARTEFACTS: f64 = 92.0;

#[test]
fn no_change_makes_artefacts_worse() {
    let section = artefacts::bench(2);
    let score = &section.figures[0];
    let wrong: Vec<&Figure> = section
        .figures
        .iter()
        .filter(|one| one.value < 100.0)
        .collect();
    assert!(score.value >= ARTEFACTS, "{} %: {wrong:#?}", score.value);
}

#[test]
fn the_page_needs_nothing_else_and_says_what_was_not_reached() {
    let mut section = Section::new("A < B", "on \"nobody\"");
    section.figures = vec![
        Figure::share("found", 3, 4)
            .beside("before", 50.0)
            .aims(Aim::Least(90.0)),
        Figure::mean("wait", &[1.0, 2.0, 3.0], "s"),
        Figure::new("width", f64::NAN, "mg/dL"),
    ];
    let said = text(&section);
    assert!(
        said.contains("NOT reached") && said.contains("before: 50.00"),
        "{said}"
    );
    let page = html(&[section], "version 1");
    assert!(page.contains("A &lt; B") && page.contains("not reached"));
    assert_eq!(page.matches("<svg").count(), 2, "two units have intervals");
    for other in ["http:", "https:", "<script", "<link", "src=", "url("] {
        assert!(!page.contains(other), "{other}");
    }
}

#[test]
fn what_is_absent_is_said_and_the_rest_is_told() {
    let wanted = Wanted {
        recordings: PathBuf::from("/nowhere"),
        people: 2,
        parts: vec![Part::Glucose],
    };
    let mut heard = 0;
    let sections = run(&wanted, |_| heard += 1);
    assert_eq!((sections.len(), heard), (3, 3));
    assert!(sections[0].about.contains("absent") && sections[0].figures.is_empty());
    assert!(sections[1].figures.iter().any(|one| one.baseline.is_some()));
    assert_eq!(sections[1].pictures.len(), 1);
}

/// False highs foreseen a patient-day, at most.
const FALSE_HIGHS: f64 = 0.5;

#[test]
fn highs_are_foreseen_within_their_budget_and_more_of_them_than_by_a_straight_line_within_it() {
    let wanted = Wanted {
        recordings: PathBuf::from("/nowhere"),
        people: 6,
        parts: vec![Part::Glucose],
    };
    let sections = run(&wanted, |_| ());
    let figure = |what: &str| {
        let mut all = sections[2].figures.iter();
        let found = all.find(|one| one.what.starts_with(what));
        found.expect("told").value
    };
    let of = |rule: &str| {
        let found = figure(&format!("highs (250) foreseen, {rule}"));
        let wrong = figure(&format!("highs (250) foreseen falsely, {rule}"));
        (found, wrong)
    };
    let (model, line) = (of("model"), of("line 30 beyond"));
    assert!(
        model.1 <= FALSE_HIGHS && model.0 > line.0,
        "{model:?} {line:?}"
    );
}
