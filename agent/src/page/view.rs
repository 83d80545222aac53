//! PURE. The agent's status in plain words, as HTML.
//!
//! Invariant: of everything that the status holds, only what the module [`super`] allows gets onto the page; all
//! text that came from outside is escaped.

use std::fmt::Write as _;

use vitals::{Span, Time};

use crate::status::{DeviceStatus, Status, WithheldStatus};

/// A battery at or below this is nearly empty: the centre's own limit.
const BATTERY_LOW: u8 = twin::rule::BATTERY_LOW;
/// A device that is connected says something at least this often, or the page says since when it has not.
const QUIET: Span = Span::from_mins(2);

/// What comes first on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Headline {
    /// "good", "note" or "help".
    class: &'static str,
    title: String,
    text: String,
}

/// The whole page.
#[must_use]
pub fn page(status: &Status, words: &str, own_page: &str, now: Time) -> String {
    let Headline { class, title, text } = headline(status, words, now);
    let (title, text) = (escape(&title), escape(&text));
    let devices = devices(status, now);
    let sent = sent(status, now);
    let own = own_page_card(own_page);
    let clock = if status.test_clock.is_empty() {
        String::new()
    } else {
        format!("<p>{}</p>", escape(&status.test_clock))
    };
    format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title}</title>
<link rel=\"stylesheet\" href=\"/page.css\">
<link rel=\"icon\" href=\"data:,\">
<script src=\"/page.js\" defer></script>
</head>
<body>
<main>
<div class=\"headline {class}\" role=\"status\" data-part=\"headline\"><h1>{title}</h1><p>{text}</p></div>
<p id=\"away\" role=\"alert\" hidden>This page has lost the program that it belongs to. What you see may be old.</p>
<h2>What you wear</h2>
<div data-part=\"devices\">{devices}</div>
<h2>Sending</h2>
<div class=\"card\" data-part=\"sent\">{sent}</div>
{own}</main>
<footer>
<p>This page shows no measurements and no names. It can be seen on this machine only.</p>
<p>Research software, not a medical device.</p>
<div data-part=\"clock\">{clock}</div>
</footer>
</body>
</html>
"
    )
}

fn headline(status: &Status, words: &str, now: Time) -> Headline {
    let note = |title: &str, text: &str| Headline {
        class: "note",
        title: title.into(),
        text: text.into(),
    };
    if status.alerts_here > 0 {
        return Headline {
            class: "help",
            title: words.to_owned(),
            text: format!(
                "A reading needs attention (first seen {}), and the care team cannot be reached over the line.",
                ago(status.alerts_here_since_us, now)
            ),
        };
    }
    if let ([], Some(word)) = (status.devices.as_slice(), status.withheld.first()) {
        return Headline {
            class: "note",
            title: wish(word).0.into(),
            text: format!("{} Asked for {}.", wish(word).1, ago(word.since_us, now)),
        };
    }
    let expired = (1..=now.as_micros()).contains(&status.certificate_expires_us);
    if !status.store_trouble.is_empty() {
        note(
            "Please tell your care team",
            if status.connected {
                "This box has trouble keeping your readings. They are still being sent."
            } else {
                "This box has trouble keeping your readings, and no line to send them. Some of them may be lost."
            },
        )
    } else if !status.radio_trouble.is_empty() {
        note(
            "The box cannot hear your devices",
            "Its Bluetooth does not work. Please switch the box off and on again; if that does not help, tell your \
             care team.",
        )
    } else if expired {
        note(
            "Please tell your care team",
            "This box has to be registered again. Your readings are kept here until then.",
        )
    } else if status.connected && is_spent(status) {
        note(
            "Today's data allowance is used up",
            "Your readings are kept here and sent tomorrow. Until then this box itself watches for what is urgent; \
             alarms are still sent.",
        )
    } else if status.centre_silent || !status.connected {
        note(
            "No line to your care team",
            "Your readings are kept here and sent later. Please look whether the internet works.",
        )
    } else if status.devices.is_empty() {
        note(
            "Nothing is being collected",
            "No device is assigned to this box at the moment.",
        )
    } else if status.devices.iter().any(needs_a_look) {
        note(
            "Please look at your devices",
            "The box works. Below you see which device needs you.",
        )
    } else if status.devices.iter().any(|device| is_quiet(device, now)) {
        note(
            "Your devices are connected",
            "The box works. Below you see when each of them last sent something.",
        )
    } else {
        Headline {
            class: "good",
            title: "Everything is working".into(),
            text: "Your devices are connected and your readings are being sent.".into(),
        }
    }
}

/// The day's bytes are spent: nothing but what is urgent goes.
fn is_spent(status: &Status) -> bool {
    let budget = status.budget.as_ref();
    budget.is_some_and(|budget| budget.spent >= budget.bytes_per_day)
}

/// What a patient asked for: as a headline and in a sentence.
fn wish(word: &WithheldStatus) -> (&'static str, &'static str) {
    if word.collection == "paused" {
        (
            "Paused",
            "Your devices are not read and nothing new is sent. Your care team can switch it on again when you want.",
        )
    } else {
        (
            "Collecting has ended",
            "Your devices are not read any more, as you wished. Your care team can tell you more.",
        )
    }
}

fn needs_a_look(device: &DeviceStatus) -> bool {
    device.link != "connected"
        || device.contact == Some(false)
        || device
            .battery_percent
            .is_some_and(|percent| percent <= BATTERY_LOW)
}

/// Connected, and silent for a while: some only speak when they are used.
fn is_quiet(device: &DeviceStatus, now: Time) -> bool {
    let last = Time::from_micros(device.last_value_us);
    device.link == "connected" && device.last_value_us > 0 && now.since(last) > QUIET
}

fn devices(status: &Status, now: Time) -> String {
    let mut html = String::new();
    if !status.devices.is_empty() {
        // Several people share this box: whose word it is, they know themselves.
        for word in &status.withheld {
            let said = if word.collection == "paused" {
                "are paused"
            } else {
                "are not read any more"
            };
            let since = ago(word.since_us, now);
            let _infallible = write!(
                html,
                "<p>The devices of one person here {said}: asked for {since}.</p>"
            );
        }
    } else if status.withheld.is_empty() {
        return "<p>No device is assigned to this box.</p>".into();
    } else {
        return "<p>No device is read.</p>".into();
    }
    html.push_str("<ul>");
    for (index, device) in status.devices.iter().enumerate() {
        let name = if device.model.is_empty() {
            format!("Device {}", index + 1)
        } else {
            device.model.clone()
        };
        let _infallible = write!(html, "<li><strong>{}</strong>", escape(&name));
        for (class, text) in states(device, now) {
            let _infallible = write!(html, "<span class=\"{class}\">{}</span>", escape(&text));
        }
        html.push_str("</li>");
    }
    html.push_str("</ul>");
    html
}

/// What to say about a device, each with its class: "look" where somebody should.
fn states(device: &DeviceStatus, now: Time) -> Vec<(&'static str, String)> {
    let mut states = Vec::new();
    match device.link.as_str() {
        "connected" => {
            if is_quiet(device, now) {
                let since = ago(device.last_value_us, now);
                states.push(("", format!("Connected. It last sent something {since}.")));
            } else {
                states.push(("", "Connected.".into()));
            }
        }
        "lost" => states.push((
            "look",
            "Out of reach. Please bring it near the box.".to_owned(),
        )),
        _ => states.push((
            "look",
            "Not found yet. Is it switched on and near the box?".to_owned(),
        )),
    }
    if device.contact == Some(false) {
        states.push(("look", "Not on the body. Please put it on.".into()));
    }
    match device.battery_percent {
        Some(percent) if percent <= BATTERY_LOW => states.push((
            "look",
            format!("Battery nearly empty ({percent} %). Please charge it or change the battery."),
        )),
        Some(percent) => states.push(("", format!("Battery {percent} %."))),
        None => {}
    }
    states
}

fn sent(status: &Status, now: Time) -> String {
    let last = if status.last_receipt_us == 0 {
        "Nothing has arrived at your care team yet.".to_owned()
    } else {
        let last = ago(status.last_receipt_us, now);
        format!("Your care team last received something {last}.")
    };
    let waiting = match status.buffer.records {
        0 => "Nothing is waiting to be sent.".to_owned(),
        // A record or two are always on their way.
        1..=20 if status.connected => "What is measured is sent at once.".to_owned(),
        1..=20 => "A few readings are waiting to be sent.".to_owned(),
        _ => "Older readings are waiting to be sent.".to_owned(),
    };
    // Since the box was registered; what a patient wanted to be deleted is no loss.
    let dropped = status.readings_dropped.iter();
    let dropped = dropped.filter(|(why, _)| *why != "withdrawn");
    let dropped = dropped.map(|(_, count)| *count).sum::<u64>();
    let dropped = match dropped {
        0 => String::new(),
        1 => "<p>One reading could not be kept. Your care team is told of it.</p>".to_owned(),
        _ => {
            format!("<p>{dropped} readings could not be kept. Your care team is told of them.</p>")
        }
    };
    format!("<p>{last}</p><p><span>{waiting}</span></p>{dropped}")
}

/// Where people see what is measured; the same for everybody here, so that it says nothing of anybody.
fn own_page_card(address: &str) -> String {
    if address.is_empty() {
        return String::new();
    }
    let picture = super::qr::svg(address, "The address as a QR code, for your telephone");
    format!(
        "<h2>Your own page</h2>
<div class=\"card own\"><div><p>What is measured, who has looked at it, and how to pause it: on your own page.</p>
<p class=\"address\">{}</p>
<p>It lets you in with your passkey, or with a code: your care team reads you one on the telephone.</p></div>{}</div>
",
        escape(address),
        picture.unwrap_or_default(),
    )
}

fn ago(us: i64, now: Time) -> String {
    let seconds = now.since(Time::from_micros(us)).as_micros().max(0) / 1_000_000;
    let (count, unit) = match seconds {
        0..60 => return "less than a minute ago".into(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{s} ago")
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::BudgetStatus;
    use std::collections::BTreeMap;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn well() -> Status {
        Status {
            gateway: "gateway-secret-id".into(),
            connected: true,
            last_receipt_us: NOW.as_micros() - 120_000_000,
            unassigned: BTreeMap::from([("11:22:33:44:55:66".into(), 4)]),
            devices: vec![DeviceStatus {
                address: "AA:BB:CC:DD:EE:FF".into(),
                stream: "stream-secret".into(),
                name: "Anna's watch".into(),
                model: "H10 <script>".into(),
                link: "connected".into(),
                battery_percent: Some(55),
                contact: Some(true),
                readings: 424_242,
                last_value_us: NOW.as_micros(),
                ..DeviceStatus::default()
            }],
            ..Status::default()
        }
    }

    fn class_and_title(status: &Status) -> (&'static str, String) {
        let headline = headline(status, "Please call 0800.", NOW);
        (headline.class, headline.title)
    }

    #[test]
    fn nothing_is_called_safe_that_may_not_be() {
        let mut status = well();
        status.readings_dropped.insert("withdrawn".into(), 9);
        assert!(!sent(&status, NOW).contains("could not be kept"));
        status.readings_dropped.insert("buffer_full".into(), 7);
        assert!(sent(&status, NOW).contains("7 readings could not be kept"));
        status.store_trouble = "full".into();
        let text = |status: &Status| headline(status, "", NOW).text;
        assert!(text(&status).contains("still being sent"));
        status.connected = false;
        assert!(text(&status).contains("Some of them may be lost"));
    }

    #[test]
    fn each_trouble_has_its_words_and_help_comes_first() {
        let (class, title) = class_and_title(&well());
        assert_eq!((class, title.as_str()), ("good", "Everything is working"));
        type Change = fn(&mut Status);
        let troubles: [(&str, Change); 10] = [
            ("Your devices are connected", |s| {
                s.devices[0].last_value_us = (NOW - QUIET - Span::from_secs(1)).as_micros();
            }),
            ("Today's data allowance is used up", |s| {
                s.budget = Some(BudgetStatus {
                    bytes_per_day: 300_000,
                    spent: 300_000,
                    ..BudgetStatus::default()
                });
            }),
            ("Please tell your care team", |s| {
                s.store_trouble = "full".into();
            }),
            ("The box cannot hear your devices", |s| {
                s.radio_trouble = "off".into();
            }),
            ("Please tell your care team", |s| {
                s.certificate_expires_us = NOW.as_micros();
            }),
            ("No line to your care team", |s| s.connected = false),
            ("No line to your care team", |s| s.centre_silent = true),
            ("Nothing is being collected", |s| s.devices.clear()),
            ("Please look at your devices", |s| {
                s.devices[0].link = "lost".into();
            }),
            ("Please look at your devices", |s| {
                s.devices[0].battery_percent = Some(BATTERY_LOW);
            }),
        ];
        for (expected, change) in troubles {
            let mut status = well();
            change(&mut status);
            let (class, title) = class_and_title(&status);
            assert_eq!((class, title.as_str()), ("note", expected));
            status.alerts_here = 1;
            let (class, title) = class_and_title(&status);
            assert_eq!((class, title.as_str()), ("help", "Please call 0800."));
        }
    }

    #[test]
    fn a_pause_is_said_first_and_is_no_trouble() {
        let word = |collection: &str| WithheldStatus {
            collection: collection.into(),
            since_us: NOW.as_micros() - 7_200_000_000,
            ..WithheldStatus::default()
        };
        for (collection, title) in [("paused", "Paused"), ("withdrawn", "Collecting has ended")] {
            let mut status = well();
            status.withheld = vec![word(collection)];
            // Two people: for the other one all is well, and the page says both.
            assert_eq!(
                class_and_title(&status),
                ("good", "Everything is working".into())
            );
            let shared = page(&status, "", "", NOW);
            assert!(
                shared.contains("The devices of one person here") && shared.contains("Connected.")
            );
            // One person: nothing else matters, not even a line that is down.
            status.devices.clear();
            status.connected = false;
            assert_eq!(class_and_title(&status), ("note", title.into()));
            let alone = page(&status, "", "", NOW);
            assert!(alone.contains("Asked for 2 hours ago.") && !alone.contains("not assigned"));
            // But help comes before it.
            status.alerts_here = 1;
            assert_eq!(class_and_title(&status).0, "help");
        }
    }

    #[test]
    fn devices_in_plain_words() {
        let mut status = well();
        status.devices[0].contact = Some(false);
        status.devices[0].battery_percent = Some(9);
        let html = page(&status, "", "", NOW);
        for part in [
            "Not on the body",
            "Battery nearly empty (9 %)",
            "H10 &lt;script&gt;",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        status.devices[0].model.clear();
        status.devices[0].link = "searching".into();
        let html = page(&status, "", "", NOW);
        assert!(html.contains("Device 1") && html.contains("Not found yet"));
        assert!(html.contains("last received something 2 minutes ago"));
    }

    #[test]
    fn the_way_to_ones_own_page_is_shown_where_there_is_one() {
        let address = "https://centre.example.org:8443/sign-in?a&b";
        let html = page(&well(), "", address, NOW);
        assert!(html.contains("https://centre.example.org:8443/sign-in?a&amp;b"));
        assert!(html.contains("<svg class=\"qr\""));
        let without = page(&well(), "", "", NOW);
        assert!(!without.contains("Your own page") && !without.contains("<svg"));
        let long = format!("https://{}/", "a".repeat(4000));
        assert!(!page(&well(), "", &long, NOW).contains("<svg"), "no code");
    }

    #[test]
    fn nothing_that_is_a_persons_is_on_it() {
        let html = page(&well(), "Please call.", "", NOW);
        for secret in [
            "Anna",
            "AA:BB",
            "11:22",
            "gateway-secret-id",
            "stream-secret",
            "424242",
            "424,242",
        ] {
            assert!(!html.contains(secret), "{secret}: {html}");
        }
        assert!(!html.contains("<script>"), "text from a device is escaped");
    }

    #[test]
    fn times_in_words() {
        let of = |seconds: i64| ago(NOW.as_micros() - seconds * 1_000_000, NOW);
        assert_eq!(of(5), "less than a minute ago");
        assert_eq!(of(60), "1 minute ago");
        assert_eq!(of(7300), "2 hours ago");
        assert_eq!(of(200_000), "2 days ago");
    }
}
