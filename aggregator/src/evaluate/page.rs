//! PURE. The report as one page that needs nothing else: tables, and pictures drawn as SVG, for light and dark screens.
//!
//! Must not know: what the figures mean.

use std::fmt::Write as _;

use super::{Aim, Figure, Section};

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--ink:#1a1c1e;--soft:#5c6670;--line:#d5dae0;--mark:#0b62a8;--good:#1a7f37;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ground:#15181b;--ink:#e6e8ea;--soft:#9aa4ae;--line:#363d44;--mark:#6cb6ff;--good:#57c26f;--bad:#ff8078}}\
body{background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
h2{margin-top:2.5rem}p{color:var(--soft)}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.good{color:var(--good)}.bad{color:var(--bad)}\
svg{max-width:100%;height:auto;margin:.5rem 0}svg text{fill:var(--soft);font:12px system-ui,sans-serif}\
svg .line{stroke:var(--line);fill:none}svg .mark{stroke:var(--mark);fill:none;stroke-width:2}svg .dot{fill:var(--mark)}\
svg .band{fill:var(--mark);opacity:.18}svg .aim{stroke:var(--good);stroke-dasharray:4 3}svg .ink{stroke:var(--ink);fill:none}\
svg .other{stroke:var(--soft);fill:var(--ground)}";

/// The whole page.
#[must_use]
pub fn html(sections: &[Section], version: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>vitaltwin: evaluation</title><style>{STYLE}</style></head><body>\n\
         <h1>vitaltwin: evaluation</h1><p>{} Research software, not a medical device. Bars are 95 % intervals; \
         a dashed line is the aim, a hollow dot the baseline named beside it.</p>\n",
        escape(version)
    );
    for section in sections {
        let _ = writeln!(
            page,
            "<section><h2>{}</h2><p>{}</p>",
            escape(&section.title),
            escape(&section.about)
        );
        if !section.figures.is_empty() {
            page.push_str(&table(&section.figures));
            for unit in units(&section.figures) {
                page.push_str(&forest(&section.figures, unit));
            }
        }
        section.pictures.iter().for_each(|one| page.push_str(one));
        page.push_str("</section>\n");
    }
    page.push_str("</body></html>\n");
    page
}

fn units(figures: &[Figure]) -> Vec<&'static str> {
    let mut units: Vec<&'static str> = figures.iter().map(|figure| figure.unit).collect();
    units.sort_unstable();
    units.dedup();
    units
}

fn table(figures: &[Figure]) -> String {
    let mut table = String::from(
        "<table><thead><tr><th>figure</th><th></th><th>95 % interval</th><th>baseline</th><th>aim</th></tr></thead><tbody>\n",
    );
    for figure in figures {
        let interval = figure
            .interval
            .map_or_else(String::new, |(low, high)| format!("{low:.2} to {high:.2}"));
        let baseline = figure.baseline.map_or_else(String::new, |(name, value)| {
            format!("{}: {value:.2}", escape(name))
        });
        let aim = figure.aim.map_or_else(String::new, |aim| {
            let (class, reached) = match figure.reached() {
                Some(true) => ("good", "reached"),
                Some(false) | None => ("bad", "not reached"),
            };
            format!("{}: <span class=\"{class}\">{reached}</span>", aim.words())
        });
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td class=\"n\">{:.2} {}</td><td class=\"n\">{interval}</td><td>{baseline}</td><td>{aim}</td></tr>",
            escape(&figure.what),
            figure.value,
            escape(figure.unit)
        );
    }
    table.push_str("</tbody></table>\n");
    table
}

/// Figures of one unit with their intervals, baselines and aims on one scale.
fn forest(figures: &[Figure], unit: &str) -> String {
    let of: Vec<&Figure> = figures
        .iter()
        .filter(|figure| {
            figure.unit == unit && figure.interval.is_some() && figure.value.is_finite()
        })
        .collect();
    if of.is_empty() {
        return String::new();
    }
    let ends = of.iter().flat_map(|figure| {
        let (low, high) = figure.interval.unwrap_or((figure.value, figure.value));
        let aim = figure.aim.map(|aim| match aim {
            Aim::Least(value) | Aim::Most(value) => value,
        });
        let baseline = figure.baseline.map(|(_, value)| value);
        [Some(low), Some(high), Some(figure.value), aim, baseline]
    });
    let ends: Vec<f64> = ends.flatten().filter(|end| end.is_finite()).collect();
    let (low, high) = range(&ends);
    let x = |value: f64| 380.0 + 500.0 * (value - low) / (high - low);
    let height = 22 * of.len() + 30;
    let mut svg = format!(
        "<svg viewBox=\"0 0 920 {height}\" role=\"img\" aria-label=\"figures in {}\">",
        escape(unit)
    );
    for (place, figure) in of.iter().enumerate() {
        let y = 22 * place + 14;
        let (from, to) = figure.interval.unwrap_or((figure.value, figure.value));
        let _ = write!(
            svg,
            "<text x=\"372\" y=\"{}\" text-anchor=\"end\">{}</text><path class=\"line\" d=\"M380 {y}H880\"/>",
            y + 4,
            escape(&short(&figure.what))
        );
        if let Some(Aim::Least(aim) | Aim::Most(aim)) = figure.aim {
            let _ = write!(
                svg,
                "<path class=\"aim\" d=\"M{0:.1} {1}V{2}\"/>",
                x(aim),
                y - 9,
                y + 9
            );
        }
        let _ = write!(
            svg,
            "<path class=\"mark\" d=\"M{:.1} {y}H{:.1}\"/><circle class=\"dot\" cx=\"{:.1}\" cy=\"{y}\" r=\"4\"/>",
            x(from),
            x(to),
            x(figure.value)
        );
        if let Some((_, value)) = figure.baseline {
            let _ = write!(
                svg,
                "<circle class=\"other\" cx=\"{:.1}\" cy=\"{y}\" r=\"4\"/>",
                x(value)
            );
        }
    }
    let y = height - 6;
    let _ = writeln!(
        svg,
        "<text x=\"380\" y=\"{y}\">{low:.2}</text><text x=\"880\" y=\"{y}\" text-anchor=\"end\">{high:.2} {}</text></svg>",
        escape(unit)
    );
    svg
}

/// A forecast as it was made, beside what came: times in hours, truth, and mean, low and high of the forecast.
pub(super) fn forecast(
    caption: &str,
    truth: &[(f64, f64)],
    made: &[(f64, f64, f64, f64)],
) -> String {
    let times: Vec<f64> = truth.iter().map(|(at, _)| *at).collect();
    let values = truth.iter().map(|(_, value)| *value);
    let ends: Vec<f64> = values
        .chain(made.iter().flat_map(|of| [of.2, of.3]))
        .collect();
    let ((from, to), (low, high)) = (range(&times), range(&ends));
    let x = |at: f64| 50.0 + 840.0 * (at - from) / (to - from);
    let y = |value: f64| 230.0 - 210.0 * (value - low) / (high - low);
    let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        points.fold(String::new(), |mut path, (at, value)| {
            let letter = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", x(at), y(value));
            path
        })
    };
    let up = made.iter().map(|of| (of.0, of.3));
    let down = made.iter().rev().map(|of| (of.0, of.2));
    format!(
        "<svg viewBox=\"0 0 920 260\" role=\"img\" aria-label=\"{0}\"><path class=\"band\" d=\"{1}Z\"/><path class=\"mark\" d=\"{2}\"/>\
         <path class=\"ink\" d=\"{3}\"/><text x=\"44\" y=\"24\" text-anchor=\"end\">{high:.0}</text>\
         <text x=\"44\" y=\"234\" text-anchor=\"end\">{low:.0}</text><text x=\"50\" y=\"254\">{0}</text></svg>\n",
        escape(caption),
        path(&mut up.chain(down)),
        path(&mut made.iter().map(|of| (of.0, of.1))),
        path(&mut truth.iter().copied())
    )
}

fn range(of: &[f64]) -> (f64, f64) {
    let low = of.iter().copied().fold(f64::INFINITY, f64::min);
    let high = of.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low < high {
        (low, high)
    } else {
        (low - 0.5, low + 0.5)
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= 56 {
        return text.into();
    }
    text.chars().take(55).chain(['…']).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
