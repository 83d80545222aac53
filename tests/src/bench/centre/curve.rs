//! PURE: a page with how each figure grows with the number of patients. No script, nothing from elsewhere.

use std::fmt::Write as _;

/// The figures of one number of patients. A missing one is not drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) patients: usize,
    /// Name with unit, and the figure.
    pub(super) figures: Vec<(String, f64)>,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 200.0;
const MARGIN: f64 = 46.0;

/// The page.
pub(super) fn page(rows: &[Row]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.figures) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>The centre, by patients</title><style>:root{color-scheme:light dark}body{font:15px system-ui,sans-serif;\
         margin:1rem;background:Canvas;color:CanvasText}svg{max-width:100%}text{fill:CanvasText;font-size:11px}\
         figure{display:inline-block;margin:.5rem}path{fill:none;stroke:CanvasText}.mark{stroke:#2a78c8;stroke-width:2}\
         circle{fill:#2a78c8}</style><h1>The centre, by patients</h1>\
         <p>Axes from zero; patients on a logarithmic axis. What stands beside each figure is in the text of the run.</p>",
    );
    for name in names {
        let points: Vec<(usize, f64)> = rows
            .iter()
            .filter_map(|row| {
                let figure = row.figures.iter().find(|(of, _)| of == name);
                figure.map(|(_, value)| (row.patients, *value))
            })
            .collect();
        html.push_str(&chart(name, &points));
    }
    html
}

fn chart(name: &str, points: &[(usize, f64)]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "numbers of patients")]
    let decades = |patients: usize| (patients as f64).log10();
    let ends = points.iter().map(|(patients, _)| decades(*patients));
    let (first, last) = ends.fold((f64::MAX, f64::MIN), |(low, high), at| {
        (low.min(at), high.max(at))
    });
    let top = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let x = |patients: usize| {
        let share = (decades(patients) - first) / (last - first).max(0.1);
        MARGIN + share * (WIDTH - 2.0 * MARGIN)
    };
    let y = |value: f64| HEIGHT - 30.0 - value / top.max(f64::MIN_POSITIVE) * (HEIGHT - 60.0);
    let mut svg = format!(
        "<figure><figcaption>{name}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" role=\"img\" aria-label=\"{name}\">\
         <path d=\"M{MARGIN} 20V{}H{}\"/>",
        HEIGHT - 30.0,
        WIDTH - 20.0
    );
    let line: Vec<String> = points
        .iter()
        .map(|(patients, value)| format!("{:.1} {:.1}", x(*patients), y(*value)))
        .collect();
    // Writing to a string cannot fail.
    let _ = write!(svg, "<path class=\"mark\" d=\"M{}\"/>", line.join("L"));
    for (patients, value) in points {
        let (x, y) = (x(*patients), y(*value));
        let _ = write!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{patients}</text>",
            y - 8.0,
            short(*value),
            HEIGHT - 12.0
        );
    }
    svg.push_str("</svg></figure>");
    svg
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e4 => format!("{:.0} k", value / 1e3),
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_one_round_lacks_is_drawn_of_the_others() {
        let row = |patients, figures: &[(&str, f64)]| Row {
            patients,
            figures: figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
        };
        let page = page(&[
            row(1000, &[("a", 2.0), ("b", 1.0)]),
            row(10_000, &[("a", 4.0)]),
        ]);
        assert_eq!(page.matches("<figure>").count(), 2);
        assert_eq!(page.matches("<circle").count(), 3);
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }
}
