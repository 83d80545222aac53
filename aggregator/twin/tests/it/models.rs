//! `MODELS.md` says what the code does: constants, versions and hashes are those of this build.

use std::fmt::Write as _;

use twin::event::Context;
use twin::rules::Rules;
use twin::{forecast, news2, rhythm, rule};
use vitals::Kind;

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn the_cards_name_the_models_of_this_build() {
    let cards = include_str!("../../MODELS.md");
    let hash = |definition: &str| hex(rule::fingerprint(definition));
    let expected = [
        (
            "news2",
            news2::MODEL.into(),
            hash(&news2::definition(&Rules::BUILT_IN.early_warning)),
        ),
        ("rhythm", rhythm::MODEL.into(), hash(&rhythm::definition())),
        (
            "rhythm by light",
            rhythm::LIGHT_MODEL.into(),
            hash(&rhythm::light_definition()),
        ),
        (
            "forecast",
            forecast::MODEL.into(),
            hash(&forecast::definition(Kind::OxygenSaturation)),
        ),
        (
            "thresholds",
            String::from("thresholds/3"),
            hash(&rule::definition(&Rules::BUILT_IN, &Context::default())),
        ),
        (
            "thresholds, scale 2",
            "thresholds/3".into(),
            hash(&rule::definition(
                &Rules::BUILT_IN,
                &Context {
                    oxygen_target_88_92: true,
                    ..Context::default()
                },
            )),
        ),
        (
            "technical",
            "technical/2".into(),
            hash(&rule::technical_definition()),
        ),
    ];
    let watched = twin::watch::MODELS;
    let watched = watched.map(|model| (model.name, model.name.into(), hash(&(model.definition)())));
    let stale: Vec<String> = expected
        .into_iter()
        .chain(watched)
        .filter(|(_, name, hash)| !cards.contains(name) || !cards.contains(hash))
        .map(|(what, name, hash)| format!("{what}: {name} with hash {hash}"))
        .collect();
    assert!(
        stale.is_empty(),
        "MODELS.md does not have these definitions; look at each card again and write them there: {stale:#?}"
    );
    for constant in [
        rhythm::CUT.to_string(),
        rhythm::WORDS.to_string(),
        forecast::COVERAGE.to_string(),
    ] {
        assert!(
            cards.contains(&constant),
            "MODELS.md does not name {constant}"
        );
    }
}
